//! Promises about crates: what they depend on, and which lints hold.

use std::fs;

use anyhow::{Result, ensure};

use crate::project;

/// Every crate and what it may depend on directly, our own crates among it.
/// A crate that is not here may not be used; the commit that adds one says
/// why.
const ALLOWED: &[(&str, &[&str])] = &[
    ("pop3", &["base64", "memchr", "zeroize"]),
    ("maildir", &["memchr", "rustix", "system", "thiserror"]),
    (
        "authlib",
        &[
            "argon2",
            "base64",
            "gdbm-native",
            "hmac",
            "md-5",
            "pbkdf2",
            "rustix",
            "sha1",
            "sha2",
            "stringprep",
            "subtle",
            "system",
            "thiserror",
            "zeroize",
        ],
    ),
    ("system", &["nix", "rustix", "thiserror", "zeroize"]),
    (
        "programs",
        &[
            "authlib",
            "base64",
            "landlock",
            "maildir",
            "nix",
            "pop3",
            "rustix",
            "seccompiler",
            "strsim",
            "system",
            "thiserror",
            "toml",
            "zeroize",
        ],
    ),
    // TLS before login; see the crate.
    (
        "front",
        &["authlib", "aws-lc-rs", "programs", "rcgen", "rustls", "sha2", "system", "x509-parser", "zeroize"],
    ),
    ("authldap", &["authlib", "programs", "rustls", "system", "tlsclient", "zeroize"]),
    ("authmysql", &["authlib", "mysql_async", "programs", "sqldriver"]),
    (
        "authoauth2",
        &[
            "authlib",
            "base64",
            "jsonwebtoken",
            "programs",
            "serde",
            "serde_json",
            "tlsclient",
            "ureq",
            "zeroize",
        ],
    ),
    ("authpam", &["authlib", "programs", "system", "zeroize"]),
    (
        "authpgsql",
        &[
            "authlib",
            "futures-util",
            "programs",
            "rustls",
            "sqldriver",
            "system",
            "tlsclient",
            "tokio",
            "tokio-postgres",
            "tokio-postgres-rustls",
            "zeroize",
        ],
    ),
    ("authsqlite", &["authlib", "programs", "rusqlite", "system", "zeroize"]),
    ("sqldriver", &["authlib", "tokio"]),
    ("tlsclient", &["authlib", "rustls"]),
    ("testbed", &["base64", "hmac", "libtest-mimic", "md-5", "nix", "rustls", "sha1", "sha2", "tempfile"]),
    ("bench", &["anyhow", "memchr", "rustix", "rustls", "system", "tempfile", "testbed"]),
    ("micro", &["anyhow", "authlib", "maildir", "pop3", "tempfile"]),
    ("xtask", &["anyhow", "nix", "system", "tempfile", "testbed"]),
];

/// What no program that opens mail may have anywhere in its tree: TLS, SQL,
/// LDAP, event loops, HTTP.
const HEAVY: [&str; 24] = [
    "async-executor",
    "async-std",
    "aws-lc-rs",
    "aws-lc-sys",
    "curl",
    "hyper",
    "ldap3",
    "libsqlite3-sys",
    "mio",
    "mysql",
    "mysql_async",
    "native-tls",
    "openssl",
    "openssl-sys",
    "postgres",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "smol",
    "sqlx",
    "tokio",
    "tokio-postgres",
    "tokio-rustls",
];

/// Direct dependencies that [`ALLOWED`] does not have, and crates that are not
/// in it.
pub(super) fn direct_dependencies() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for directory in project::members()? {
        let member = project::name(&directory);
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == member) else {
            found.push(format!("{member} is not in xtask/src/promises/crates.rs"));
            continue;
        };
        let dependencies = tree(&["--package", member, "--depth", "1"])?;
        let surplus =
            dependencies.iter().filter(|name| **name != member && !allowed.contains(&name.as_str()));
        found.extend(surplus.map(|name| format!("{member} depends on {name}")));
    }
    Ok(found)
}

/// Members of [`HEAVY`] in the tree of `programs`.
pub(super) fn nothing_heavy() -> Result<Vec<String>> {
    let tree = tree(&["--package", "programs"])?;
    ensure!(tree.iter().any(|name| name == "maildir"), "cargo tree shows another tree than that of programs");
    Ok(tree.into_iter().filter(|name| HEAVY.contains(&name.as_str())).collect())
}

/// Crates in which the workspace's lints do not hold; and what they cannot
/// say: that `pop3` does without the standard library.
pub(super) fn lints() -> Result<Vec<String>> {
    let root = project::root()?;
    let mut found = Vec::new();
    for directory in project::members()? {
        let member = project::name(&directory);
        let manifest = fs::read_to_string(directory.join("Cargo.toml"))?;
        // The one crate that may be unsafe repeats the others (its manifest says so).
        if member != "system" && !manifest.contains("[lints]\nworkspace = true\n") {
            found.push(format!("{member}/Cargo.toml does not take over the workspace's lints"));
        }
    }
    let workspace = fs::read_to_string(root.join("Cargo.toml"))?;
    if !workspace.contains("unsafe_code = \"forbid\"") {
        found.push("Cargo.toml does not forbid unsafe code".to_owned());
    }
    let pop3 = fs::read_to_string(root.join("pop3/src/lib.rs"))?;
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        if !pop3.lines().any(|line| line == attribute) {
            found.push(format!("pop3/src/lib.rs lacks {attribute}"));
        }
    }
    Ok(found)
}

/// The names that `cargo tree` lists, without those that only tests need.
fn tree(selection: &[&str]) -> Result<Vec<String>> {
    let mut cargo = project::cargo()?;
    cargo
        .args(["tree", "--quiet", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(selection);
    let output = cargo.output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}
