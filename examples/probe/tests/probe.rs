//! What the probe says of a server on this machine.

use std::process::Output;

use frazil_turn_server::{Config, Server};
use serde_json::{Value, json};
use tokio::process::Command;

async fn probe(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frazil-probe"));
    command.args(arguments).output().await.unwrap()
}

#[tokio::test]
async fn of_servers_that_answer_and_of_one_that_does_not_programs_are_told_all() {
    let server = Server::start(Config::default()).await.unwrap();
    let at = server.address();
    let (stun, turn) = (format!("stun:{at}"), format!("turn:{at}"));
    let dead = "turn:127.0.0.1:1?transport=tcp";
    let who = ["--user", Server::USER, "--password", server.password()];
    let output = probe(&[&[&stun, &turn, dead, "--json"], &who[..]].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();

    let interfaces = told["interfaces"].as_array().unwrap();
    assert!(
        interfaces.iter().any(|one| one["address"] == "127.0.0.1" && one["kind"] == "loopback" && one["used"] == true)
    );
    let of = |uri: &str| {
        let servers = told["servers"].as_array().unwrap();
        servers.iter().find(|one| one["uri"] == uri && one["local"].as_str().unwrap().starts_with("127.")).unwrap()
    };
    assert_eq!((&of(&stun)["outcome"], &of(&stun)["mapped"]), (&json!("answered"), &of(&stun)["local"]));
    assert_eq!(of(&turn)["outcome"], "answered");
    let lent = &of(&turn)["relayed"][0];
    assert_eq!((&of(dead)["outcome"], &of(dead)["code"]), (&json!("failed"), &json!(701)));
    assert!(of(dead)["text"].as_str().unwrap().contains("refused"), "{told:#}");

    let candidates = told["candidates"].as_array().unwrap();
    let relay = candidates.iter().find(|one| one["type"] == "relay").unwrap();
    assert_eq!((&relay["address"], &relay["server"]), (lent, &json!(turn)));
    let priorities: Vec<u64> = candidates.iter().map(|one| one["priority"].as_u64().unwrap()).collect();
    assert!(priorities.is_sorted_by(|one, other| one >= other), "{priorities:?}");
    let nat = told["nats"].as_array().unwrap().iter().find(|nat| nat["local"] == "127.0.0.1").unwrap();
    assert_eq!(nat["mapping"], "no NAT");
    // What was lent is given back before the probe ends.
    server.allocations().wait_for(|lent| *lent == 0).await.unwrap();
}

#[tokio::test]
async fn a_person_is_told_in_columns_what_failed_and_why() {
    let server = Server::start(Config::default()).await.unwrap();
    let (stun, turn) = (format!("stun:{}", server.address()), format!("turn:{}", server.address()));
    let output = probe(&[&stun, &turn, "--user", Server::USER, "--password", "guess"]).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let failed = text.lines().find(|line| line.contains(&turn)).unwrap();
    assert!(failed.contains("failed") && failed.contains("401"), "{text}");
    let line = text.lines().find(|line| line.contains(&stun)).unwrap();
    assert!(line.contains(" ms") && line.contains("sees us as we are"), "{text}");
    assert_eq!(line.find("from"), failed.find("from"), "{text}");
    assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
    assert!(!output.stderr.iter().any(|_| true), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn without_servers_the_machines_own_addresses_are_shown_and_nonsense_is_refused() {
    let output = probe(&[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Interfaces") && text.contains("127.0.0.1/8") && text.contains(" host "), "{text}");
    assert!(text.contains("cargo xtask probe stun:"), "{text}");

    let refused = probe(&["example.org"]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("\"example.org\""));
    let nameless = probe(&["turn:127.0.0.1"]).await;
    assert_eq!(nameless.status.code(), Some(2));
    let told = String::from_utf8(nameless.stderr).unwrap();
    assert!(told.contains("turn:127.0.0.1 needs") && told.contains("--user"), "{told}");
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_not_passed_over() {
    let nobody = "stun:0.0.0.0";
    let output = probe(&[nobody]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = text.lines().find(|line| line.contains(nobody)).expect(&text);
    assert!(line.contains("not asked"), "{text}");
    assert!(!text.contains("No servers were named"), "{text}");
    let told: Value = serde_json::from_slice(&probe(&[nobody, "--json"]).await.stdout).unwrap();
    assert_eq!((&told["servers"][0]["uri"], &told["servers"][0]["outcome"]), (&json!(nobody), &json!("unasked")));
}
