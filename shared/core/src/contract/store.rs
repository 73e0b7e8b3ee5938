//! The suite of the port [`Store`].

use std::sync::Arc;

use super::{conflicts, rows, scopes};
use crate::store::Store;

/// Runs every check, each on a fresh store.
pub async fn store(make: &dyn Fn() -> Arc<dyn Store>) {
    let fresh = || make();

    scopes::a_new_store_is_empty(&*fresh()).await;
    scopes::two_stores_have_two_ids(&*fresh(), &*fresh()).await;
    scopes::environments_come_back_by_id(&*fresh()).await;
    scopes::an_environment_is_made_once(&*fresh()).await;
    scopes::a_space_is_made_once_in_an_environment_that_is_there(&*fresh()).await;
    scopes::spaces_come_in_pages_by_id(&*fresh()).await;
    scopes::an_unknown_scope_is_an_error_of_its_own(&*fresh()).await;
    scopes::the_epoch_rises_with_every_change_and_not_otherwise(&*fresh()).await;

    rows::a_row_comes_back_as_it_was_written(&*fresh()).await;
    rows::any_name_comes_back_as_it_was_written(&*fresh()).await;
    rows::records_of_every_size_come_back(&*fresh()).await;
    rows::a_chain_is_read_from_the_environment_down(&*fresh()).await;
    rows::only_the_names_asked_for_are_read(&*fresh()).await;
    rows::ten_thousand_names_can_be_asked_for_at_once(&*fresh()).await;
    rows::a_history_has_every_version_newest_first(&*fresh()).await;
    rows::an_old_version_becomes_current_again(&*fresh()).await;
    rows::revoking_marks_one_version(&*fresh()).await;
    rows::destroying_leaves_the_row_and_no_version(&*fresh()).await;
    rows::keys_belong_to_one_scope_and_are_kept_once(&*fresh()).await;
    rows::a_scope_that_is_full_says_so_and_stays_as_it_was(&*fresh()).await;
    rows::a_row_moves_in_with_several_versions(&*fresh()).await;
    rows::a_record_is_sealed_anew_and_nothing_else_changes(&*fresh()).await;
    rows::keys_are_wrapped_anew_and_retired(&*fresh()).await;

    conflicts::a_write_must_name_the_revision_that_it_saw(&*fresh()).await;
    conflicts::every_change_gives_the_row_a_new_revision(&*fresh()).await;
    conflicts::of_sixteen_racing_writers_one_wins(&*fresh()).await;
    conflicts::racing_writers_of_different_names_all_win(&*fresh()).await;
    conflicts::a_batch_of_one_scope_is_applied_whole_or_not_at_all(&*fresh()).await;
    conflicts::a_batch_over_more_scopes_than_the_store_takes_is_refused(&*fresh()).await;
    conflicts::a_batch_is_applied_whole_or_not_at_all(&*fresh()).await;
    conflicts::a_batch_makes_no_space_twice(&*fresh()).await;
    conflicts::a_full_batch_is_applied(&*fresh()).await;
    conflicts::a_record_under_a_key_that_its_scope_does_not_have_is_a_conflict(&*fresh()).await;
    conflicts::look_alikes_in_one_chain_are_refused(&fresh).await;
    conflicts::look_alikes_in_one_batch_are_refused(&*fresh()).await;
    conflicts::a_destroyed_name_bars_no_spelling_and_comes_back_only_if_none_took_its_place(&fresh).await;
}
