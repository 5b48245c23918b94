//! The message inside an error answer. Every OpenStack service has a shape of its own, and each may
//! be replaced by a proxy's HTML or by nothing at all.

use serde_json::Value;

/// Message and, where given, the error's type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ErrorMessage {
    pub message: String,
    pub kind: Option<String>,
}

/// Longest message kept, in characters: a traceback helps nobody on a terminal.
const LONGEST: usize = 600;

/// Reads the body of an error answer, of which `content_type` is only a hint: Glance sends HTML with
/// JSON's name and some proxies the reverse.
pub(crate) fn read(body: &[u8]) -> ErrorMessage {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let (message, kind) = match serde_json::from_str::<Value>(text) {
        Ok(value) => from_json(&value).unwrap_or_else(|| (text.to_owned(), None)),
        Err(_) if text.starts_with('<') => from_markup(text),
        Err(_) => (text.to_owned(), None),
    };
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = match message.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &message[..at]),
        None if message.is_empty() => "(no message)".to_owned(),
        None => message,
    };
    ErrorMessage { message, kind }
}

fn from_json(value: &Value) -> Option<(String, Option<String>)> {
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_owned);
    // Neutron: {"NeutronError": {"type": "...", "message": "...", "detail": ""}} or a plain string.
    if let Some(e) = value.get("NeutronError") {
        if let Some(s) = e.as_str() {
            return Some((s.to_owned(), None));
        }
        let message = text(e, "message")?;
        let message = text(e, "detail").map(|d| format!("{message} ({d})")).unwrap_or(message);
        return Some((message, text(e, "type")));
    }
    // WSME (Octavia, Ironic): {"faultstring": "...", "faultcode": "Client"}; Ironic packs it once more.
    if let Some(s) = text(value, "faultstring") {
        return Some((s, None));
    }
    if let Some(inner) = value.get("error_message") {
        return match inner.as_str() {
            Some(s) => serde_json::from_str(s).ok().and_then(|v| from_json(&v)).or_else(|| Some((s.to_owned(), None))),
            None => from_json(inner),
        };
    }
    // Placement, Magnum: {"errors": [{"title": "...", "detail": "..."}]}
    if let Some(first) = value.get("errors").and_then(Value::as_array).and_then(|a| a.first()) {
        return text(first, "detail").or_else(|| text(first, "title")).map(|s| (s, text(first, "code")));
    }
    // Keystone: {"error": {"message": "..."}}; Heat: the same with a type and a traceback.
    if let Some(e) = value.get("error") {
        if let Some(s) = e.as_str() {
            return Some((s.to_owned(), None));
        }
        if let Some(s) = text(e, "message") {
            return Some((s, text(e, "type")));
        }
    }
    // Glance, Designate: {"message": "...", "code": "404 Not Found"}
    if let Some(s) =
        text(value, "message").or_else(|| text(value, "description")).or_else(|| text(value, "explanation"))
    {
        return Some((s, text(value, "type")));
    }
    // Nova, Cinder, Manila: {"itemNotFound": {"code": 404, "message": "..."}}; the key is the type.
    let (key, inner) = value.as_object().filter(|m| m.len() == 1)?.iter().next()?;
    Some((text(inner, "message")?, Some(key.clone())))
}

/// S3's XML `<Error><Code>..</Code><Message>..</Message></Error>`, or the words of an HTML page
/// without its title when the body says more.
fn from_markup(text: &str) -> (String, Option<String>) {
    if let Some(message) = element(text, "Message") {
        return (unescape(message), element(text, "Code").map(unescape));
    }
    let body = element(text, "body").unwrap_or(text);
    let mut words = String::new();
    let mut inside = false;
    for c in body.chars() {
        match c {
            '<' => {
                inside = true;
                words.push(' ');
            }
            '>' => inside = false,
            _ if inside => {}
            c => words.push(c),
        }
    }
    (unescape(&words), None)
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.find(&format!("<{name}"))?;
    let open = start + text[start..].find('>')? + 1;
    let end = open + text[open..].find(&format!("</{name}>"))?;
    Some(&text[open..end])
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, message: &str, kind: Option<&str>) {
        let said = read(body.as_bytes());
        assert_eq!((said.message.as_str(), said.kind.as_deref()), (message, kind), "{body}");
    }

    #[test]
    fn every_service_is_understood() {
        check(
            r#"{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}"#,
            "The request you have made requires authentication.",
            None,
        );
        check(
            r#"{"itemNotFound": {"code": 404, "message": "Instance x could not be found."}}"#,
            "Instance x could not be found.",
            Some("itemNotFound"),
        );
        check(
            r#"{"NeutronError": {"type": "RouterInUse", "message": "Router r still has ports", "detail": ""}}"#,
            "Router r still has ports",
            Some("RouterInUse"),
        );
        check(
            r#"{"NeutronError": "Request Failed: internal server error"}"#,
            "Request Failed: internal server error",
            None,
        );
        check(
            r#"{"faultcode": "Client", "faultstring": "Invalid state PENDING_UPDATE", "debuginfo": null}"#,
            "Invalid state PENDING_UPDATE",
            None,
        );
        check(
            r#"{"explanation": "x", "code": 404, "error": {"message": "The Stack (a) could not be found.", "traceback": null, "type": "EntityNotFound"}, "title": "Not Found"}"#,
            "The Stack (a) could not be found.",
            Some("EntityNotFound"),
        );
        check(
            r#"{"errors": [{"status": 404, "title": "Not Found", "detail": "No such provider"}]}"#,
            "No such provider",
            None,
        );
        check(
            r#"{"message": "No image found with ID x", "code": "404 Not Found", "title": "Not Found"}"#,
            "No image found with ID x",
            None,
        );
        check(r#"{"error_message": "{\"faultstring\": \"Node busy\", \"faultcode\": \"Client\"}"}"#, "Node busy", None);
    }

    #[test]
    fn markup_and_rubbish_too() {
        check(
            "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  No image found with ID &#39;x&#39;<br /><br />\n </body>\n</html>",
            "404 Not Found No image found with ID 'x'",
            None,
        );
        check(
            "<?xml version='1.0'?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
            "The specified key does not exist.",
            Some("NoSuchKey"),
        );
        check("", "(no message)", None);
        check("upstream connect error", "upstream connect error", None);
        check("<", "(no message)", None);
        check("[1,2]", "[1,2]", None);
        assert_eq!(read("é".repeat(2000).as_bytes()).message.chars().count(), LONGEST + 3);
    }
}
