//! `stackyard cloud status`

use super::super::{Context, End};
use super::local;
use crate::printer::{bytes, duration, table};
use stackyard_cloud::status::{self, Status};
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::Health;
use std::time::Duration;

/// Shows every service; exit code 1 when something is not well.
pub async fn run(context: &Context) -> anyhow::Result<End> {
    let status = status::look(&local(context)?, &Docker::connect().await?).await?;
    context.printer.result(&status, || text(&status))?;
    Ok(if status.healthy { End::Done } else { End::Failed })
}

fn text(status: &Status) -> String {
    if status.services.is_empty() {
        return "There is no cloud on this machine; `stackyard cloud up` makes one.".to_owned();
    }
    let long_running = status.services.iter().filter(|s| !s.job);
    let rows = long_running.clone().map(|s| {
        [
            s.service.clone(),
            health(&s.health),
            s.restarts.to_string(),
            s.uptime_s.map_or_else(String::new, |s| duration(Duration::from_secs(s))),
            s.memory.map_or_else(String::new, bytes),
        ]
    });
    let mut text = table::table(["SERVICE", "HEALTH", "RESTARTS", "UPTIME", "MEMORY"], rows);
    for job in status.services.iter().filter(|s| s.job && !s.is_well()) {
        text += &format!("job {}: {}\n", job.service, health(&job.health));
    }
    let well = long_running.clone().filter(|s| s.is_well()).count();
    text + &format!("\n{well} of {} services are well; {} of memory (PSS)", long_running.count(), bytes(status.memory))
}

fn health(health: &Health) -> String {
    match health {
        Health::Healthy => "healthy".to_owned(),
        Health::Untested => "runs".to_owned(),
        Health::Completed => "done".to_owned(),
        Health::Down => "down".to_owned(),
        Health::Unhealthy { output } => format!("UNHEALTHY: {}", output.trim()),
    }
}
