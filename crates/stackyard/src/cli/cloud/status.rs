//! `stackyard cloud status`

use super::super::{Context, ExitStatus};
use super::local;
use crate::printer::{bytes, duration, table};
use stackyard_cloud::status::{self, Status};
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::HealthCheck;
use std::time::Duration;

/// Shows every service; exit code 1 if one is not healthy.
pub async fn run(context: &Context) -> anyhow::Result<ExitStatus> {
    let status = status::look(&local(context)?, &Docker::connect().await?).await?;
    context.printer.result(&status, || text(&status))?;
    Ok(if status.healthy { ExitStatus::Done } else { ExitStatus::Failed })
}

fn text(status: &Status) -> String {
    if status.services.is_empty() {
        return "No cloud runs on this machine. Run `stackyard cloud up` to create one.".to_owned();
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
    let (all, memory) = (long_running.count(), bytes(status.memory));
    text + &format!("\n{well} of {all} services are healthy; they use {memory} of memory (PSS)")
}

fn health(health: &HealthCheck) -> String {
    match health {
        HealthCheck::Healthy => "healthy".to_owned(),
        HealthCheck::Untested => "running".to_owned(),
        HealthCheck::Completed => "completed".to_owned(),
        HealthCheck::Down => "down".to_owned(),
        HealthCheck::Unhealthy { output } => format!("UNHEALTHY: {}", output.trim()),
    }
}
