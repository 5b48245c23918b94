//! A guest of the tiny image, heard through its console.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use stackyard_openstack::{Cloud, Server};

use super::TestFault;

/// Pause between two looks at a console.
const PAUSE: Duration = Duration::from_millis(700);

/// A guest.
pub struct Guest<'a> {
    cloud: &'a Cloud,
    pub server: Server,
    /// The address in the test's network.
    pub address: String,
    last: Mutex<String>,
}

impl<'a> Guest<'a> {
    pub fn new(cloud: &'a Cloud, server: Server, address: String) -> Self {
        Self { cloud, server, address, last: Mutex::new(String::new()) }
    }

    /// Waits for a line that holds `words` and returns it from there on.
    pub async fn says(&self, words: &str, limit: Duration) -> Result<String, TestFault> {
        let started = Instant::now();
        loop {
            let text = match self.cloud.console(&self.server.id, None).await {
                Ok(text) => text,
                // Nova has no console for a moment after the server became ACTIVE.
                Err(e) if e.is_conflict() || e.is_not_found() => String::new(),
                Err(e) => return Err(e.into()),
            };
            // Only whole lines: a marker may be there and its value not yet.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if let Some(line) = whole.lines().find_map(|l| l.find(words).map(|at| l[at..].trim().to_owned())) {
                return Ok(line);
            }
            if started.elapsed() > limit {
                return Err(TestFault(format!(
                    "{:?} is not on the console of {} after {} s; its last lines: {}",
                    words,
                    self.server.name,
                    limit.as_secs(),
                    tail(&text)
                )));
            }
            if let Ok(mut last) = self.last.lock() {
                *last = text;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The last words of a console.
pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    if lines.is_empty() { "(nothing)".to_owned() } else { lines[lines.len().saturating_sub(6)..].join(" | ") }
}

/// What to tell guest `a`: to listen where no security group lets anybody, to write and read
/// disks, and to call the subport.
pub fn script_a(run: &str, subport: Option<&str>) -> String {
    let call = subport.map_or_else(String::new, |to| SUBPORT_CALL.replace("@TO@", to));
    format!("#!/bin/sh{}{}{call}wait\n", listen(), DISKS.replace("@RUN@", run))
}

/// What to tell guest `b`: to be on the trunk's VLAN.
pub fn script_b(vlan: Option<&Vlan>) -> String {
    let join = vlan.map_or_else(String::new, |v| {
        VLAN.replace("@ID@", &v.id.to_string()).replace("@MAC@", &v.mac).replace("@ADDRESS@", &v.address)
    });
    format!("#!/bin/sh{}{join}", listen())
}

/// A subport as the guest needs to know it.
pub struct Vlan {
    /// VLAN id within the trunk.
    pub id: u32,
    /// The subport's MAC address.
    pub mac: String,
    /// Its address with the prefix' length.
    pub address: String,
}

/// What `bulk` of a guest sends, in bytes.
pub const BULK: usize = 4 << 20;

fn listen() -> String {
    LISTEN.replace("@BULK@", &BULK.to_string())
}

/// Something answers on 81: that nobody hears it is the security group's work. On both ports, `bulk`
/// sends [`BULK`], or counts what it is sent.
const LISTEN: &str = r#"
mkdir -p /www/cgi-bin
cat >/www/cgi-bin/bulk <<'CGI'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
if [ "$REQUEST_METHOD" = POST ]; then head -c "$CONTENT_LENGTH" | wc -c; else head -c @BULK@ /dev/zero; fi
CGI
chmod 755 /www/cgi-bin/bulk
httpd -p 81 -h /www
"#;

/// Every disk that comes: one that holds a pattern is read, any other is written and read back.
/// Volumes are told apart by their serial, which is the begin of the volume's id.
const DISKS: &str = r#"
size=8
sum() { dd if="$1" bs=1M count=$size 2>/dev/null | md5sum | cut -d' ' -f1; }
disks() {
    known=
    while :; do
        now=
        for path in /sys/block/vd[b-z]; do
            [ -e "$path" ] || continue
            disk=${path##*/}
            now="$now $disk"
            case " $known " in *" $disk "*) continue ;; esac
            serial=$(cat "$path/serial")
            if [ "$(dd if=/dev/$disk bs=14 count=1 2>/dev/null)" = "stackyard-test" ]; then
                echo "TEST: disk $serial holds $(sum /dev/$disk)."
            else
                yes "stackyard-test @RUN@" | head -c $((size * 1048576)) | dd of=/dev/$disk bs=1M 2>/dev/null
                sync
                echo 3 >/proc/sys/vm/drop_caches
                echo "TEST: disk $serial written $(sum /dev/$disk)."
            fi
        done
        known=$now
        sleep 1
    done
}
disks &
"#;

/// Calls the subport until it answers, by ICMP and TCP.
const SUBPORT_CALL: &str = r#"
call() {
    n=0
    while [ $n -lt 150 ]; do
        n=$((n + 1))
        ping -c 1 -W 1 @TO@ >/dev/null 2>&1 || continue
        echo "TEST: subport ping ok."
        name=$(printf 'GET /hostname HTTP/1.0\r\n\r\n' | nc -w 5 @TO@ 80 | tail -n 1 | tr -d '\r ')
        [ -n "$name" ] || continue
        echo "TEST: subport http $name."
        return
    done
    echo "TEST: subport silent."
}
call &
"#;

/// Joins the VLAN.
const VLAN: &str = r#"
ip link add link eth0 name eth0.@ID@ address @MAC@ type vlan id @ID@ 2>/tmp/vlan ||
    { vconfig add eth0 @ID@ && ip link set eth0.@ID@ address @MAC@; } 2>>/tmp/vlan
ip link set eth0.@ID@ up && ip addr add @ADDRESS@ dev eth0.@ID@ && echo "TEST: vlan up." || { echo "TEST: vlan down."; cat /tmp/vlan; }
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_complete_and_fit_into_user_data() {
        let vlan = Vlan { id: 201, mac: "fa:16:3e:00:00:01".into(), address: "10.213.72.9/24".into() };
        for script in
            [script_a("0123abcd", Some("10.213.72.9")), script_a("r", None), script_b(Some(&vlan)), script_b(None)]
        {
            assert!(script.starts_with("#!/bin/sh\n") && !script.contains('@'), "{script}");
            assert!(script.len() < 16_000);
            let read = std::process::Command::new("sh").args(["-n", "-c", &script]).status().expect("sh");
            assert!(read.success(), "{script}");
        }
    }
}
