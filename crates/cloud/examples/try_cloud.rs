//! Tests any cloud of clouds.yaml: `cargo run -p stackyard-cloud --example try_cloud CLOUD`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use stackyard_cloud::test::{Event, Options, TestOutcome, run};
use stackyard_openstack::{Cloud, CloudConfig, Observer};

#[tokio::main]
async fn main() -> ExitCode {
    let name = std::env::args().nth(1);
    let loud = std::env::var_os("LOUD").is_some();
    let observer: Observer = std::sync::Arc::new(move |e| {
        if loud || e.retry.is_some() || e.status.is_none_or(|s| s >= 500) {
            eprintln!("  {:?} {} {} {:?} {:?}", e.elapsed, e.method, e.url, e.status, e.retry);
        }
    });
    let options = stackyard_openstack::Options { observer: Some(observer), ..Default::default() };
    let cloud = match CloudConfig::load(name.as_deref()) {
        Ok(config) => Cloud::connect(config, options).await,
        Err(e) => Err(e),
    };
    let cloud = match cloud {
        Ok(cloud) => cloud,
        Err(e) => {
            eprintln!("error: {e}");
            return ExitCode::FAILURE;
        }
    };
    let failed = AtomicBool::new(false);
    let hear = |event| match event {
        Event::Started(_) => {}
        Event::Note(text) => println!("{text}"),
        Event::Finished(check) => {
            failed.fetch_or(check.outcome == TestOutcome::Fail, Ordering::Relaxed);
            println!("{:?} {} ({:.1} s) {}", check.outcome, check.name, check.took.as_secs_f64(), check.detail);
        }
    };
    let cancel = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let report = run(&cloud, &Options::default(), &hear, cancel).await;
    println!("{:.1} s, {:?}", report.took.as_secs_f64(), cloud.counts());
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
