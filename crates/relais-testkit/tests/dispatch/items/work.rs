//! Claims and their leases, files, and what is too much.

use futures_util::future::join_all;
use relais_core::dispatch::RECORD_BYTES_MAX;
use relais_core::error::Code;
use relais_core::event::FileInfo;
use relais_core::ids::Id;
use relais_core::ports::CommitError;
use serde_json::json;

use super::*;

#[tokio::test]
async fn workers_who_come_together_get_one_job_each_oldest_first() {
    let house = House::new();
    for number in 0..6 {
        made(&house, "alice", create("job", json!({ "prompt": number }))).await;
    }
    let claims = (0..7).map(|_| house.by_key(command(request(ItemAction::Claim, "job"))));
    let answers = join_all(claims).await;
    let mut prompts: Vec<_> = answers
        .iter()
        .flatten()
        .map(|answer| answer["item"]["fields"]["prompt"].as_u64().unwrap())
        .collect();
    prompts.sort_unstable();
    assert_eq!(prompts, [0, 1, 2, 3, 4, 5]);
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].code, Code::NotFound);
    let user = ask(&house, "alice", request(ItemAction::Claim, "job")).await;
    assert_eq!(code(user), Code::Forbidden);
}

#[tokio::test]
async fn a_lost_claim_is_free_again_in_the_status_it_had_and_fails_after_too_many() {
    let house = House::new();
    let id = made(&house, "alice", create("job", json!({ "prompt": "a cat" }))).await;
    told(&house);
    let claim = || {
        let running = ItemRequest {
            status: Some("running".into()),
            ..request(ItemAction::Claim, "job")
        };
        house.by_key(command(running))
    };
    let progress =
        |percent: u32| house.by_key(command(update("job", &id, json!({ "progress": percent }))));
    assert_eq!(claim().await.unwrap()["item"]["status"], "running");
    assert_eq!(code(claim().await), Code::NotFound);
    house.pass(59_000);
    // A sign of life renews the claim.
    progress(10).await.unwrap();
    house.pass(59_000);
    assert_eq!(code(claim().await), Code::NotFound);
    house.pass(1_000);
    let again = claim().await.unwrap();
    assert_eq!(again["item"]["status"], "running");
    assert_eq!(again["item"]["fields"]["progress"], 10);
    house.pass(60_000);
    assert_eq!(told(&house), ["item.moved", "item.updated"]);
    // The second was lost as well: as many as may be.
    assert_eq!(code(claim().await), Code::NotFound);
    assert_eq!(told(&house), ["item.moved"]);
    let answer = ask(&house, "alice", about(ItemAction::Get, "job", &id))
        .await
        .unwrap();
    assert_eq!(answer["item"]["status"], "failed");
    assert_eq!(
        answer["item"]["reason"],
        "whoever worked on it was lost too often"
    );
    let late = ItemRequest {
        status: Some("running".into()),
        ..update("job", &id, json!({ "progress": 20 }))
    };
    assert_eq!(code(house.by_key(command(late)).await), Code::InvalidState);
}

#[tokio::test]
async fn a_file_is_attached_while_the_status_is_not_final() {
    let house = House::new();
    let id = made(&house, "alice", create("job", json!({ "prompt": "a cat" }))).await;
    told(&house);
    let attach = |file: Option<FileInfo>| {
        let request = ItemRequest {
            file,
            ..about(ItemAction::Attach, "job", &id)
        };
        house.by_key(command(request))
    };
    let file = || FileInfo {
        id: Id(uuid::Uuid::from_u128(5)),
        filename: "cat.png".into(),
        path: "cat".into(),
        content_type: "image/png".into(),
        bytes: 3,
    };
    let answer = attach(Some(file())).await.unwrap();
    assert_eq!(answer["file"], answer["item"]["files"][0]);
    assert_eq!(answer["file"]["filename"], "cat.png");
    assert_eq!(told(&house), ["item.file_attached"]);
    assert_eq!(code(attach(None).await), Code::InvalidPayload);
    let fail = ItemRequest {
        status: Some("failed".into()),
        ..update("job", &id, json!({}))
    };
    house.by_key(command(fail)).await.unwrap();
    assert_eq!(code(attach(Some(file())).await), Code::InvalidState);
}

#[tokio::test]
async fn fields_that_are_too_large_and_conflicts_without_end_are_refused() {
    let house = House::new();
    let large = create("story", json!({ "title": "x".repeat(RECORD_BYTES_MAX) }));
    assert_eq!(code(ask(&house, "ines", large).await), Code::TooLarge);
    let conflicts = std::iter::repeat_n(CommitError::Conflict, 3);
    house
        .store
        .faults
        .refusals
        .lock()
        .unwrap()
        .extend(conflicts);
    let small = create("story", json!({ "title": "x" }));
    assert_eq!(code(ask(&house, "ines", small).await), Code::Overloaded);
}
