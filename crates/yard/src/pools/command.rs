//! Somebody else's join command: fetched fresh for each server that is made, since the tokens in
//! such commands expire. Nothing of it is kept, and no message shows it.

use super::HookTargets;
use serde_json::Value;
use stackyard_core::yard::manifest::{CommandJoin, HttpHook};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a program or a request may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tries of a request that fails in passing.
const TRIES: u32 = 3;
/// Bytes of a command at most.
const MOST: usize = 32 * 1024;
/// Bytes of the answer that has the command at most.
const MOST_ANSWER: usize = 1 << 20;

/// Who the command is for.
pub(crate) struct JoinTarget<'a> {
    pub yard: &'a str,
    pub pool: &'a str,
    pub name: &'a str,
    pub number: u32,
}

/// Why a hook cannot be carried out on this machine: variables and files that are not there, requests that may
/// not be sent.
pub(crate) fn missing(hook: &CommandJoin, targets: &HookTargets) -> Vec<String> {
    let mut said = Vec::new();
    let mut texts: Vec<&str> = hook.env.values().map(String::as_str).collect();
    if let Some(http) = &hook.http {
        texts.push(&http.url);
        texts.extend(http.headers.values().map(String::as_str));
        texts.extend(http.body.as_deref());
        if let Some(file) = &http.ca_file
            && let Err(e) = std::fs::File::open(file)
        {
            said.push(format!("the join command's `caFile` {file}: {e}"));
        }
    }
    let own: BTreeMap<String, String> = hook
        .env
        .keys()
        .map(|k| (k.clone(), String::new()))
        .collect();
    said.extend(texts.into_iter().filter_map(|t| expand(t, &own).err()));
    let url = hook
        .http
        .as_ref()
        .and_then(|h| expand(&h.url, &hook.env).ok());
    said.extend(
        url.and_then(|url| targets.refusal(&url))
            .map(|why| format!("the join command's URL: {why}")),
    );
    if let Some(program) = hook.program.first()
        && program.contains('/')
        && let Err(e) = std::fs::metadata(program)
    {
        said.push(format!("the join command's program {program}: {e}"));
    }
    said.sort();
    said.dedup();
    said
}

/// Fetches a command.
///
/// # Errors
/// A sentence.
pub(crate) async fn fetch(
    hook: &CommandJoin,
    of: &JoinTarget<'_>,
    targets: &HookTargets,
) -> Result<String, String> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &hook.env {
        env.insert(name.clone(), expand(value, &BTreeMap::new())?);
    }
    env.extend([
        ("STACKYARD_YARD".to_owned(), of.yard.to_owned()),
        ("STACKYARD_POOL".to_owned(), of.pool.to_owned()),
        ("STACKYARD_HOST".to_owned(), of.name.to_owned()),
        ("STACKYARD_NUMBER".to_owned(), of.number.to_string()),
    ]);
    let command = match (&hook.text, hook.program.split_first(), &hook.http) {
        (Some(text), ..) => text.clone(),
        (_, Some((program, arguments)), _) => run(program, arguments, &env).await?,
        (.., Some(http)) => request(http, &env, targets).await?,
        _ => return Err("there is no join command".to_owned()),
    };
    let command = command.trim();
    if command.is_empty() {
        return Err("the join command that was fetched is empty".to_owned());
    }
    if command.contains("{token}") {
        return Err(
            "the join command that was fetched has `{token}` where a token should be; \
            ask the API that fills it in (Rancher's /v3, not the raw Kubernetes one)"
                .to_owned(),
        );
    }
    if command.len() > MOST || command.contains('\0') {
        return Err(format!(
            "what was fetched is no command: it has {} bytes",
            command.len()
        ));
    }
    let parts = [
        hook.prefix.as_deref(),
        Some(command),
        hook.suffix.as_deref(),
    ];
    Ok(parts.into_iter().flatten().collect::<Vec<_>>().join(" ") + "\n")
}

/// Replaces `${NAME}` by variables: of the hook, then of the process.
fn expand(text: &str, own: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out += before;
        let Some((name, behind)) = after.split_once('}') else {
            return Err("the join command has `${` without `}`".to_owned());
        };
        match own.get(name).cloned().or_else(|| std::env::var(name).ok()) {
            Some(value) => out += &value,
            None => {
                return Err(format!(
                    "the variable {name}, which the join command uses, is not set; export it"
                ));
            }
        }
        rest = behind;
    }
    Ok(out + rest)
}

async fn run(
    program: &str,
    arguments: &[String],
    env: &BTreeMap<String, String>,
) -> Result<String, String> {
    let doing = |what: String| format!("running {program} for the join command: {what}");
    let child = Command::new(program)
        .args(arguments)
        .envs(env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| doing(e.to_string()))?;
    let output = match tokio::time::timeout(PATIENCE, child.wait_with_output()).await {
        Ok(output) => output.map_err(|e| doing(e.to_string()))?,
        Err(_) => {
            return Err(doing(format!(
                "it did not end within {} s",
                PATIENCE.as_secs()
            )));
        }
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = said.trim().lines().rev().take(5).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        return Err(doing(format!(
            "{}{}{tail}",
            output.status,
            if tail.is_empty() { "" } else { "\n" }
        )));
    }
    String::from_utf8(output.stdout).map_err(|_| doing("its output is no text".to_owned()))
}

async fn request(
    hook: &HttpHook,
    env: &BTreeMap<String, String>,
    targets: &HookTargets,
) -> Result<String, String> {
    let url = expand(&hook.url, env)?;
    let shown = url.split(['?', '#']).next().unwrap_or_default().to_owned();
    let doing = |what: String| format!("fetching the join command from {shown}: {what}");
    if let Some(why) = targets.refusal(&url) {
        return Err(doing(why));
    }
    let client = client(hook, targets, &url).map_err(&doing)?;
    let body = hook.body.as_deref().map(|b| expand(b, env)).transpose()?;
    let method = hook
        .method
        .as_deref()
        .unwrap_or(if body.is_some() { "POST" } else { "GET" });
    let method =
        reqwest::Method::from_bytes(method.as_bytes()).map_err(|e| doing(e.to_string()))?;
    let mut tries = 0;
    let answer = loop {
        tries += 1;
        let mut request = client.request(method.clone(), &url);
        for (name, value) in &hook.headers {
            request = request.header(name, expand(value, env)?);
        }
        if let Some(body) = &body {
            if !hook
                .headers
                .keys()
                .any(|k| k.eq_ignore_ascii_case("content-type"))
            {
                request = request.header("Content-Type", "application/json");
            }
            request = request.body(body.clone());
        }
        let failed = match request.send().await {
            Ok(answer) if answer.status().is_success() => break answer,
            Ok(answer) => {
                let status = answer.status();
                if !(status.is_server_error() || status.as_u16() == 429) {
                    return Err(doing(format!("the answer is {status}")));
                }
                format!("the answer is {status}")
            }
            Err(e) => cause(e),
        };
        if tries >= TRIES {
            return Err(doing(failed));
        }
        tokio::time::sleep(Duration::from_secs(u64::from(tries))).await;
    };
    let body = read(answer).await.map_err(&doing)?;
    let answer: Value =
        serde_json::from_slice(&body).map_err(|_| doing("the answer is no JSON".to_owned()))?;
    pick(&answer, hook).map_err(doing)
}

/// The body of an answer, if it is not too long: a server reads answers for people who share it.
async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(cause)? {
        if body.len() + chunk.len() > MOST_ANSWER {
            return Err(format!(
                "the answer has more than {} MiB; ask for the token alone",
                MOST_ANSWER >> 20
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The text at a hook's path.
fn pick(answer: &Value, hook: &HttpHook) -> Result<String, String> {
    let path = &hook.json_path;
    match hook.path()?.query(answer).first() {
        Some(Value::String(text)) => Ok(text.clone()),
        None => Err(format!("the answer has nothing at `{path}`")),
        Some(_) => Err(format!("what the answer has at `{path}` is no text")),
    }
}

fn client(hook: &HttpHook, targets: &HookTargets, url: &str) -> Result<reqwest::Client, String> {
    // The first caller in the process wins; they all want the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("stackyard/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .timeout(PATIENCE)
        // Headers hold secrets: they go to nobody else.
        .redirect(reqwest::redirect::Policy::none());
    if let Some(file) = &hook.ca_file {
        let pem = std::fs::read(file).map_err(|e| format!("reading {file}: {e}"))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|e| format!("{file}: {}", cause(e)))?;
        if certificates.is_empty() {
            return Err(format!("there is no certificate in {file}"));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    targets.limit(builder, url).build().map_err(cause)
}

/// What lies at the bottom of an error, without the address, which may hold secrets.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        text = e.to_string();
        next = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn of() -> JoinTarget<'static> {
        JoinTarget {
            yard: "shop",
            pool: "web",
            name: "web-2",
            number: 2,
        }
    }

    fn program(script: &str) -> CommandJoin {
        let program = ["sh", "-c", script].map(str::to_owned).to_vec();
        CommandJoin {
            program,
            ..CommandJoin::default()
        }
    }

    #[tokio::test]
    async fn a_program_knows_who_it_is_for() {
        let mut hook = program("echo join $STACKYARD_HOST of $STACKYARD_YARD with $MORE");
        hook.env.insert("MORE".into(), "more".into());
        (hook.prefix, hook.suffix) = (Some("env A=1".into()), Some("--worker".into()));
        assert_eq!(
            fetch(&hook, &of(), &HookTargets::any()).await.unwrap(),
            "env A=1 join web-2 of shop with more --worker\n"
        );
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why() {
        let error = fetch(
            &program("echo secret; echo no token for you >&2; exit 3"),
            &of(),
            &HookTargets::any(),
        )
        .await
        .unwrap_err();
        assert!(
            error.contains("exit status: 3") && error.contains("no token for you"),
            "{error}"
        );
        assert!(!error.contains("secret"), "{error}");
        assert!(
            fetch(&program("true"), &of(), &HookTargets::any())
                .await
                .unwrap_err()
                .contains("empty")
        );
        assert!(
            fetch(&program("echo 'join {token}'"), &of(), &HookTargets::any())
                .await
                .unwrap_err()
                .contains("{token}")
        );
        let missing = CommandJoin {
            program: vec!["/no/such/program".into()],
            ..CommandJoin::default()
        };
        assert_eq!(super::missing(&missing, &HookTargets::any()).len(), 1);
        assert!(fetch(&missing, &of(), &HookTargets::any()).await.is_err());
    }

    /// Answers one request a connection with `status` and `body`; gives back what came.
    async fn serve(
        answers: Vec<(u16, impl AsRef<str> + Send + 'static)>,
    ) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let mut came = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut data = vec![0; 4096];
                let n = stream.read(&mut data).await.unwrap();
                came.push(String::from_utf8_lossy(&data[..n]).into_owned());
                let (body, length) = (body.as_ref(), body.as_ref().len());
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                // A reader that has enough goes away.
                stream.write_all(answer.as_bytes()).await.ok();
            }
            came
        });
        (address, serving)
    }

    fn http(url: String) -> CommandJoin {
        let http = HttpHook {
            url,
            method: None,
            headers: BTreeMap::from([("Authorization".to_owned(), "Bearer ${RANCHER}".to_owned())]),
            body: None,
            json_path: "$.data[0].nodeCommand".to_owned(),
            ca_file: None,
        };
        let env = BTreeMap::from([("RANCHER".to_owned(), "token-x:geheim".to_owned())]);
        CommandJoin {
            http: Some(http),
            env,
            suffix: Some("--worker".into()),
            ..CommandJoin::default()
        }
    }

    #[tokio::test]
    async fn a_request_is_sent_with_its_secrets_and_tried_again() {
        let (url, serving) = serve(vec![
            (503, ""),
            (200, r#"{"data": [{"nodeCommand": "curl x | sh -s -"}]}"#),
        ])
        .await;
        let url = format!("{url}/v3/clusterregistrationtokens?clusterId=c-m-1");
        let command = fetch(&http(url), &of(), &HookTargets::any()).await.unwrap();
        assert_eq!(command, "curl x | sh -s - --worker\n");
        let came = serving.await.unwrap();
        assert!(
            came[1].starts_with("GET /v3/clusterregistrationtokens?clusterId=c-m-1 "),
            "{}",
            came[1]
        );
        assert!(
            came[1]
                .to_ascii_lowercase()
                .contains("authorization: bearer token-x:geheim"),
            "{}",
            came[1]
        );
    }

    #[tokio::test]
    async fn what_is_wrong_with_an_answer_is_said_without_secrets() {
        for (status, body, message) in [
            (401, "", "401"),
            (200, "<html>", "no JSON"),
            (200, r#"{"data": []}"#, "nothing at `$.data[0].nodeCommand`"),
            (200, r#"{"data": [{"nodeCommand": 1}]}"#, "no text"),
        ] {
            let (url, _serving) = serve(vec![(status, body)]).await;
            let error = fetch(
                &http(format!("{url}/v3/tokens?key=geheim")),
                &of(),
                &HookTargets::any(),
            )
            .await
            .unwrap_err();
            assert!(
                error.contains(message) && error.contains("/v3/tokens"),
                "{error}"
            );
            assert!(!error.contains("geheim"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_fills_no_memory() {
        let endless = format!(
            r#"{{"data": [{{"nodeCommand": "join"}}], "x": "{}"}}"#,
            "x".repeat(MOST_ANSWER)
        );
        let (url, _serving) = serve(vec![(200, endless)]).await;
        let error = fetch(&http(url), &of(), &HookTargets::any())
            .await
            .unwrap_err();
        assert!(error.contains("more than 1 MiB"), "{error}");
    }

    #[test]
    fn what_is_missing_is_found_beforehand() {
        let mut hook = http("https://r".into());
        assert!(missing(&hook, &HookTargets::any()).is_empty());
        hook.env = BTreeMap::from([("RANCHER".to_owned(), "${STACKYARD_TEST_NO_SUCH}".to_owned())]);
        assert!(missing(&hook, &HookTargets::any())[0].contains("STACKYARD_TEST_NO_SUCH"));
    }

    #[tokio::test]
    async fn a_name_leads_nowhere_that_is_not_allowed() {
        let (url, _serving) = serve(vec![(200, r#"{"data": [{"nodeCommand": "join"}]}"#)]).await;
        let url = url.replace("127.0.0.1", "localhost");
        let limited =
            |hosts: &[&str]| HookTargets::public_and(hosts.iter().map(|h| h.parse().unwrap()));
        let error = fetch(&http(url.clone()), &of(), &limited(&["other.example"]))
            .await
            .unwrap_err();
        assert!(
            error.contains("no public address") && error.contains("--allow-hook-host localhost"),
            "{error}"
        );
        let literal = url.replace("localhost", "127.0.0.1");
        assert!(
            fetch(&http(literal.clone()), &of(), &limited(&[]))
                .await
                .unwrap_err()
                .contains("no public address")
        );
        assert_eq!(missing(&http(literal), &limited(&[])).len(), 1);
        assert_eq!(
            fetch(&http(url), &of(), &limited(&["localhost"]))
                .await
                .unwrap(),
            "join --worker\n"
        );
    }
}
