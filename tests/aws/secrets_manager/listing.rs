//! Lists of Environments and Spaces, and look-alikes in them.

use aws_sdk_secretsmanager::types::Tag;
use futures_util::future::join_all;
use serde_json::json;
use undertone_core::{SpaceId, Store, StoreError};
use undertone_tests::emulators::Ministack;
use undertone_tests::fake_aws::{Answer, FakeAws};

use super::world::{World, make, name, new_row, scope, space, write};

async fn spaces(store: &dyn Store, environment: &str) -> Vec<String> {
    let spaces = store.spaces(&environment.parse().unwrap(), None, usize::MAX).await.unwrap();
    spaces.iter().map(|space| space.id.as_str().to_owned()).collect()
}

async fn environments(store: &dyn Store) -> Vec<String> {
    let environments = store.environments().await.unwrap();
    environments.iter().map(|environment| environment.id.as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_begins_like_another_is_another() {
    let fake = FakeAws::start().await;
    for url in [&fake.url(), Ministack::start().url()] {
        let scopes = ["dev", "dev2", "Dev", "dev/sp", "dev/sp2", "dev2/sp", "dev2/other", "Dev/sp_3"];
        let world = World::with(url, &scopes).await;
        assert_eq!(environments(&*world.store).await, ["Dev", "dev", "dev2"]);
        assert_eq!(spaces(&*world.store, "dev").await, ["sp", "sp2"]);
        assert_eq!(spaces(&*world.store, "dev2").await, ["other", "sp"]);
        assert_eq!(spaces(&*world.store, "Dev").await, ["sp_3"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_over_all_pages() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    let wanted: Vec<String> = (0..130).map(|number| format!("sp_{number:03}")).collect();
    let other = world.other().await;
    let made = wanted.iter().map(|id| other.create_space(space(&format!("dev/{id}"))));
    assert!(join_all(made).await.iter().all(Result::is_ok));
    aws.secrets().reset_calls();
    assert_eq!(spaces(&*world.store, "dev").await, wanted);
    assert_eq!(aws.secrets().calls_of("ListSecrets"), 2);
    let after: SpaceId = "sp_120".parse().unwrap();
    let page = world.store.spaces(scope("dev").environment(), Some(&after), 3).await.unwrap();
    assert_eq!(page, ["dev/sp_121", "dev/sp_122", "dev/sp_123"].map(space));
    // One name of the last Space that is read.
    write(&other, new_row("dev/sp_129", "Token")).await.unwrap();
    let refused = write(&*world.store, new_row("dev", "TOKEN")).await;
    let (name, existing) = (name("TOKEN"), name("Token"));
    assert_eq!(refused, Err(StoreError::LookAlike { name, existing, scope: scope("dev/sp_129") }));
}

#[tokio::test]
async fn secrets_of_others_under_the_prefix_are_not_read() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev", "dev/sp_1"]).await;
    let foreign = ["stage", "stage2", "dev/sp_2", "dev/sp_2/more"];
    for (place, tags) in foreign.iter().zip([
        [("team", "environment"), ("undertone:prefix", "another")],
        [("undertone:kind", "environment"), ("undertone:prefix", "another")],
        [("undertone:kind", "space-like"), ("undertone:prefix", world.prefix.as_str())],
        [("undertone:kind", "space"), ("undertone:prefix", world.prefix.as_str())],
    ]) {
        let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
        let call = world.client.create_secret().name(world.secret(place)).set_tags(Some(tags.to_vec()));
        call.secret_string("somebody's").send().await.unwrap();
    }
    aws.secrets().reset_calls();
    assert_eq!(environments(&*world.store).await, ["dev"]);
    assert_eq!(spaces(&*world.store, "dev").await, ["sp_1"]);
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    for call in aws.secrets().calls() {
        let text = call.request.to_string();
        let of_ours = |place: &str| !text.contains(&format!("{}\"", world.secret(place)));
        assert!(foreign.iter().all(|place| of_ours(place)), "{text}");
    }
    let exists = world.store.create_space(space("dev/sp_2")).await;
    assert_eq!(exists, Err(StoreError::Exists(scope("dev/sp_2"))));
}

#[tokio::test]
async fn what_this_process_made_is_listed_though_the_list_is_late() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["old"]).await;
    make(&*world.store, &["dev", "dev/sp_1"]).await;
    write(&*world.store, new_row("dev/sp_1", "Token")).await.unwrap();
    let late = || {
        let nothing = Answer::With { member: "SecretList", value: json!([]) };
        aws.secrets().answer_next("ListSecrets", nothing);
    };
    late();
    assert_eq!(environments(&*world.store).await, ["dev"]);
    late();
    assert_eq!(spaces(&*world.store, "dev").await, ["sp_1"]);
    late();
    let refused = write(&*world.store, new_row("dev", "TOKEN")).await;
    assert!(matches!(refused, Err(StoreError::LookAlike { .. })), "{refused:?}");
    assert_eq!(environments(&*world.store).await, ["dev", "old"]);
}

#[tokio::test]
async fn what_goes_after_it_was_listed_is_left_out() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev", "dev/sp_1", "dev/sp_2"]).await;
    let listed = world.client.list_secrets().send().await.unwrap();
    let shown: Vec<_> = listed
        .secret_list()
        .iter()
        .map(|secret| {
            let tags: Vec<_> =
                secret.tags().iter().map(|tag| json!({ "Key": tag.key(), "Value": tag.value() })).collect();
            json!({ "Name": secret.name(), "Tags": tags })
        })
        .collect();
    let gone = world.client.delete_secret().secret_id(world.secret("dev/sp_1"));
    gone.force_delete_without_recovery(true).send().await.unwrap();
    aws.secrets().answer_next("ListSecrets", Answer::With { member: "SecretList", value: shown.into() });
    assert_eq!(spaces(&*world.store, "dev").await, ["sp_2"]);
}
