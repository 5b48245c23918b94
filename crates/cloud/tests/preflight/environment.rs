//! User, proxies, security modules, tools.

use crate::docker::Image;
use crate::support::{Files, Place, ask, elsewhere, expect, question};
use stackyard_cloud::preflight::Outcome;

#[test]
fn an_ordinary_user_sees_less() {
    let (_home, input) = question();
    let place = Place { through: "setpriv --reuid 65534 --regid 65534 --clear-groups", ..Place::default() };
    expect(&elsewhere(&place, &input), "environment.user", Outcome::Warn, "user 65534");
    expect(&ask(&input), "environment.user", Outcome::Pass, "root");
}

#[test]
fn proxies_get_between() {
    let (_home, mut input) = question();
    input.environment.insert("HTTP_PROXY".to_owned(), "http://192.0.2.1:3128".to_owned());
    input.environment.insert("no_proxy".to_owned(), "localhost".to_owned());
    expect(&ask(&input), "environment.proxies", Outcome::Warn, "export no_proxy=localhost,127.0.0.1");
    input.environment.insert("no_proxy".to_owned(), "127.0.0.0/8".to_owned());
    expect(&ask(&input), "environment.proxies", Outcome::Pass, "excepted");
}

#[test]
fn security_modules() {
    let (_home, mut input) = question();
    let selinux = Files::new(&[("/sys/fs/selinux/enforce", "1")]);
    input.machine = selinux.machine();
    expect(&ask(&input), "environment.security", Outcome::Warn, "setenforce 0");
    let enabled = ("/sys/module/apparmor/parameters/enabled", "Y\n");
    let profiles =
        ("/sys/kernel/security/apparmor/profiles", "docker-default (enforce)\n/usr/sbin/libvirtd (enforce)\n");
    let apparmor = Files::new(&[enabled, profiles]);
    input.machine = apparmor.machine();
    expect(&ask(&input), "environment.security", Outcome::Warn, "/etc/apparmor.d/usr.sbin.libvirtd");
    let quiet = Files::new(&[enabled]);
    input.machine = quiet.machine();
    expect(&ask(&input), "environment.security", Outcome::Pass, "unconfined");
}

#[test]
fn images_cannot_be_built_without_their_builder() {
    let (_home, mut input) = question();
    assert!(ask(&input).get("environment.mmdebstrap").is_none());
    input.builds_images = true;
    expect(&ask(&input), "environment.mmdebstrap", Outcome::Fail, "apt-get install mmdebstrap");
    let image = Image::busybox();
    input.qemu_image = Some(image.name.clone());
    expect(&ask(&input), "environment.mmdebstrap", Outcome::Info, "the service images are there");
}
