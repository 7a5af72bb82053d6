//! `cargo xtask bench`: the servers, by the package `bench`; and
//!
//! `cargo xtask bench logins`: how long a login takes at authdaemond's socket,
//! with PostgreSQL behind it, beside userdb and beside Courier's.
//!
//! What is compared takes turns, so that whatever else the machine does falls
//! on all alike.

use std::any::Any;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use testbed::Fault;
use testbed::authdaemond::OurAuthdaemond;
use testbed::courier::{self, Authdaemond};
use testbed::logins::{self, Logins};
use testbed::postgres::Postgres;
use testbed::sql::Server;

use crate::{debian, project};

/// Each place has as many turns.
const TURNS: usize = 5;
/// In each turn: how many logins, and how many of them at once.
const LOADS: [(usize, usize); 2] = [(200, 1), (2000, 100)];
const RC: &str = "daemons=5\n";

/// Where logins are made.
struct Place {
    name: &'static str,
    socket: PathBuf,
    /// What was measured, load by load.
    loads: [Logins; 2],
    /// Ends with this.
    _daemon: Box<dyn Any>,
}

/// Measures servers; what, and how, the package says.
pub(crate) fn servers(words: &[&str]) -> Result<()> {
    debian::install_these(debian::FOR_BENCH)?;
    debian::unpack_dovecot()?;
    // perf(1) walks from caller to caller by frame pointers; what is measured has none.
    let frames = words.contains(&"--profile");
    let programs = project::target_directory()?.join(if frames { "frames/release" } else { "release" });
    // By itself, so that nothing of it gets into what is installed.
    for packages in [&["bench"][..], &["programs", "front"]] {
        let mut build = project::cargo()?;
        build.args(["build", "--release"]);
        build.args(packages.iter().flat_map(|package| ["--package", package]));
        if frames {
            build.env("CARGO_TARGET_DIR", project::target_directory()?.join("frames"));
            build.env("RUSTFLAGS", "-C force-frame-pointers=yes").env("CFLAGS", "-fno-omit-frame-pointer");
        }
        ensure!(build.status()?.success(), "{} could not be built", packages.join(", "));
    }
    let status = Command::new(programs.join("bench")).arg(&programs).args(words).status()?;
    ensure!(status.success(), "bench: {status}");
    Ok(())
}

/// Measures, and prints.
pub(crate) fn logins() -> Result<()> {
    debian::install()?;
    let programs = build()?;
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    let server = Postgres::start().map_err(readable)?;
    server.create("logins").and_then(|()| server.sql("logins", &logins::table())).map_err(readable)?;
    let fields = "PGSQL_USER_TABLE passwd\nPGSQL_CRYPT_PWFIELD crypt\n##NAME: MARKER:0\n";
    let settings = format!("{}{fields}", server.connection("logins", None));
    let mut places = vec![
        ours("postrider, authpgsql", "authpgsql", &programs, &directory.path().join("1"), &settings)?,
        ours("postrider, authuserdb", "authuserdb", &programs, &directory.path().join("2"), &settings)?,
    ];
    match courier::missing_authdaemond() {
        Some(reason) => courier::say_left_out(&reason),
        None => {
            let place =
                |name, module, number| couriers(name, module, &directory.path().join(number), &settings);
            places.push(place("Courier, authpgsql", "authpgsql", "3")?);
            places.push(place("Courier, authuserdb", "authuserdb", "4")?);
        }
    }
    for _ in 0..TURNS {
        for place in &mut places {
            for (load, (count, at_once)) in place.loads.iter_mut().zip(LOADS) {
                load.extend(Logins::make(&place.socket, count, at_once).map_err(readable)?);
            }
        }
    }
    print(&places)
}

fn readable(fault: Fault) -> anyhow::Error {
    anyhow!("{fault}")
}

/// Builds what is measured as it is installed.
fn build() -> Result<PathBuf> {
    let words = ["build", "--release", "--package", "programs", "--package", "authpgsql"];
    ensure!(project::cargo()?.args(words).status()?.success(), "the programs could not be built");
    Ok(project::target_directory()?.join("release"))
}

fn ours(
    name: &'static str,
    module: &str,
    programs: &Path,
    directory: &Path,
    settings: &str,
) -> Result<Place> {
    let mut daemon = OurAuthdaemond::new(&programs.join("authdaemond"), directory).map_err(readable)?;
    fs::write(daemon.configuration().join("authpgsqlrc"), settings)?;
    daemon.install(&logins::userdb(), &programs.join("makeuserdb")).map_err(readable)?;
    daemon.start(&format!("authmodulelist={module}\n{RC}")).map_err(readable)?;
    Ok(Place { name, socket: daemon.socket(), loads: Default::default(), _daemon: Box::new(daemon) })
}

fn couriers(name: &'static str, module: &str, directory: &Path, settings: &str) -> Result<Place> {
    let rc = format!("authmodulelist=\"{module}\"\n{RC}");
    let userdb = directory.join("etc/userdb");
    let files = [("authdaemonrc", rc.as_str()), ("authpgsqlrc", settings), ("userdb", &logins::userdb())];
    let mut daemon = Authdaemond::start_with(directory, module, &files).map_err(readable)?;
    fs::set_permissions(&userdb, Permissions::from_mode(0o600))?;
    let made = Command::new(courier::MAKEUSERDB).arg("-f").arg(&userdb).status().context("makeuserdb")?;
    ensure!(made.success(), "makeuserdb: {made}");
    let socket = directory.join("run/authdaemon/socket");
    // It listens when this is answered.
    daemon.ask(b"PRE . pop3 user0\n").map_err(readable)?;
    Ok(Place { name, socket, loads: Default::default(), _daemon: Box::new(daemon) })
}

fn print(places: &[Place]) -> Result<()> {
    let mut lost = 0;
    for (index, (_, at_once)) in LOADS.iter().enumerate() {
        println!("\n| {at_once} at once | logins | lost | median | p99 | per second | median, as a ratio |");
        println!("|---|---|---|---|---|---|---|");
        let first = places.first().map_or(Duration::ZERO, |place| place.loads[index].percentile(50));
        for place in places {
            let load = &place.loads[index];
            let [median, p99] = [50, 99].map(|percent| load.percentile(percent));
            println!(
                "| {} | {} | {} | {} | {} | {:.0} | {:.2} |",
                place.name,
                load.times.len(),
                load.lost.len(),
                milliseconds(median),
                milliseconds(p99),
                load.times.len() as f64 / load.all.as_secs_f64(),
                median.as_secs_f64() / first.as_secs_f64(),
            );
            lost += load.lost.len();
            load.lost.iter().take(3).for_each(|lost| println!("  {lost}"));
        }
    }
    ensure!(lost == 0, "{lost} logins were lost");
    Ok(())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
