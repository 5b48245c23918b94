"""Swift's logs on the console only: a hook for its option log_custom_handlers.

Without a system log at /dev/log Swift sends every line as UDP too, to a port where nobody listens, from sockets that
are open to all addresses. There is no option against it, and the proxy's access log does not even know this hook:
so the handler for the system log is made silent for the whole process. A socket that never sends is never bound.
"""
from logging.handlers import SysLogHandler


def only(*_arguments):
    """Called by Swift for each logger that it has set up."""
    SysLogHandler.emit = lambda handler, record: None
