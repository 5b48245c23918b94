//! The fake cloud for suites that are not written in Rust: writes the clouds.yaml that it is told to, with
//! the cloud `fake` in it, and serves until it is killed.
//!
//! `fake_cloud FILE [MILLISECONDS]`: how long servers take to boot.
//!
//! Its Keystone lets `olga` in, a member of the project `p` with the password `olga-password`, and `vera`, a reader
//! with `vera-password`, and by the application credential `credential-1` of vera's with `vera-secret`; and `ann`, a
//! member of the project `shop`, with `ann-password`.

use stackyard_fake::Fake;
use std::time::Duration;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or_else(|| std::io::Error::other("usage: fake_cloud FILE [MILLISECONDS]"))?;
    let fake = Fake::start(Duration::from_millis(2)).await?;
    if let Some(time) = arguments.next().and_then(|a| a.parse().ok()) {
        fake.world().boots_in(Duration::from_millis(time));
    }
    {
        let mut identity = fake.identity();
        for (name, project, role) in [("olga", "p", "member"), ("vera", "p", "reader"), ("ann", "shop", "member")] {
            identity.add_user(name, &format!("{name}-password"));
            identity.grant(name, project, &[role]);
        }
        identity.add_credential("vera", "ci", "p", "vera-secret");
    }
    let text = fake.clouds_yaml(&[("fake", "p")]);
    // Whoever waits for the file finds all of it.
    let new = format!("{file}.new");
    std::fs::write(&new, text)?;
    std::fs::rename(new, file)?;
    std::future::pending().await
}
