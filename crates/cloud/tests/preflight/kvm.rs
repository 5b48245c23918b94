use crate::support::{Files, Place, ask, elsewhere, expect, question, row, sh};
use stackyard_cloud::preflight::host;
use stackyard_cloud::preflight::kvm::{Guest, GuestEnd, Qemu, judge};
use stackyard_cloud::preflight::{Outcome, Virtualization};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// A boot sector that never ends: `cli; hlt; jmp` to the halt.
fn endless() -> Vec<u8> {
    let mut disk = vec![0; 512];
    disk[..4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
    disk[510..].copy_from_slice(&[0x55, 0xaa]);
    disk
}

fn tcg(guest: Guest) -> Guest {
    Guest { accelerator: "tcg", ..guest }
}

fn qemus() -> usize {
    let is_ours = |pid: &String| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // In containers the disk is always /tmp/guest.
        line.starts_with(QEMU) && line.contains("accel=tcg") && !line.contains("file=/tmp/guest")
    };
    let names = std::fs::read_dir("/proc").unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(is_ours).count()
}

/// Under TCG, which is always right, the guest must end well: then a "no" is KVM's fault.
#[tokio::test]
async fn the_guest_itself_is_right_and_a_hanging_one_is_ended() {
    let end = tcg(Guest { patience: Duration::from_secs(60), ..Guest::default() }).on_program(Path::new(QEMU)).await;
    let verdict = judge(&Qemu::Program(QEMU.into()), end);
    assert_eq!(verdict.works, Some(true), "{}", verdict.seen);

    let begun = Instant::now();
    let hanging = tcg(Guest { disk: endless(), patience: Duration::from_secs(2), ..Guest::default() });
    let end = hanging.on_program(Path::new(QEMU)).await;
    assert!(matches!(end, GuestEnd::Hung { .. }), "{end:?}");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let verdict = judge(&Qemu::Program(QEMU.into()), end);
    assert_eq!(verdict.works, Some(false));
    assert!(verdict.seen.contains("hung"), "{}", verdict.seen);
    assert_eq!(qemus(), 0, "QEMU outlived its time");
}

/// The same with a QEMU in an image, made here of the machine's own.
#[tokio::test]
async fn an_image_with_qemu_does_as_well() {
    let image = format!("stackyard-preflight-test-qemu:{}", std::process::id());
    let dir = tempfile::tempdir().unwrap();
    sh(&format!(
        "cd {}; mkdir -p usr/bin usr/lib usr/lib64 tmp; ln -s usr/bin usr/lib usr/lib64 .
         for f in {QEMU} /bin/sh /usr/bin/timeout /usr/bin/base64 /usr/bin/head; do
             cp -L --parents $f $(ldd $f | grep -o '/[^ ]*' | tr -d :) .
         done
         cp -rL --parents /usr/share/seabios /usr/share/qemu $(echo /usr/lib/*/qemu) .
         tar --create . | docker import - {image}",
        dir.path().display()
    ));
    let docker = bollard::Docker::connect_with_unix(
        "/var/run/docker.sock",
        60,
        &bollard::ClientVersion { major_version: 1, minor_version: 41 },
    )
    .unwrap();
    let good = tcg(Guest { patience: Duration::from_secs(60), ..Guest::default() }).on_image(&docker, &image).await;
    let hung = tcg(Guest { disk: endless(), patience: Duration::from_secs(2), ..Guest::default() })
        .on_image(&docker, &image)
        .await;
    let left = sh("docker ps --all --quiet --filter name=stackyard-kvm-");
    sh(&format!("docker rmi --force {image}"));
    let verdict = judge(&Qemu::Image(image.clone()), good);
    assert_eq!(verdict.works, Some(true), "{}", verdict.seen);
    assert!(matches!(hung, GuestEnd::Hung { .. }), "{hung:?}");
    assert_eq!(left, "", "a container is left");
}

/// What this machine's KVM does is shown, remembered and told to templates, whatever it is.
#[test]
fn the_answer_is_remembered_until_something_changes() {
    let (home, mut input) = question();
    input.environment.insert("PATH".to_owned(), "/usr/bin".to_owned());
    input.docker = "unix:///nowhere".to_owned();
    let report = ask(&input);
    println!("{:?}", row(&report, "kvm.guest"));
    let kept = home.path().join("host.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    let works = text.contains("\"works\": true");
    let expected = if works { Outcome::Pass } else { Outcome::Warn };
    assert_eq!(row(&report, "kvm.guest").result, expected);

    // The other answer is believed, as long as the key is the same.
    let lie = |text: &str| text.replace(&format!("\"works\": {works}"), &format!("\"works\": {}", !works));
    std::fs::write(&kept, lie(&text)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(host::facts(&input)).kvm, !works);
    std::fs::write(&kept, lie(&text).replace("\"key\": \"", "\"key\": \"other")).unwrap();
    let facts = runtime.block_on(host::facts(&input));
    assert_eq!(facts.kvm, works);
    assert!(facts.cpus >= 1 && facts.memory_mib > 64 && !facts.name.is_empty());
    if !works {
        input.virtualization = Virtualization::Kvm;
        expect(&ask(&input), "kvm.guest", Outcome::Fail, "no server would start");
        input.virtualization = Virtualization::Qemu;
        expect(&ask(&input), "kvm.guest", Outcome::Info, "virt_type=qemu was asked for");
    }
}

#[test]
fn without_its_device_there_is_no_kvm() {
    let (_home, input) = question();
    let script = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9";
    let report = elsewhere(&Place { unshare: "-m", script, ..Place::default() }, &input);
    expect(&report, "kvm.guest", Outcome::Warn, "/dev/kvm is not there");
}

#[test]
fn without_qemu_the_question_stays_open_or_the_flags_answer_it() {
    for (flag, result, says) in
        [("svm", Outcome::Info, "once the service images"), ("sse", Outcome::Warn, "the CPU offers no virtualization")]
    {
        let (_home, mut input) = question();
        let files =
            Files::new(&[("/dev/kvm", ""), ("/proc/cpuinfo", &format!("processor : 0\nflags\t\t: fpu {flag} sse2\n"))]);
        input.machine = files.machine();
        expect(&ask(&input), "kvm.guest", result, says);
    }
}

#[test]
fn a_qemu_that_is_none_leaves_the_question_open() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end = runtime.block_on(
        Guest { patience: Duration::from_secs(5), ..Guest::default() }.on_program(&PathBuf::from("/bin/false")),
    );
    // It ran and said no: that is an answer. What never ran is none.
    assert!(matches!(end, GuestEnd::Exit { status: 1, .. }), "{end:?}");
}
