//! Fences: exchanges whose answers come later than anything sent before would have. "Nothing arrives" ends at one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::play;
use super::stage::{ActorState, Stage};
use crate::scenario::protocol::Fence;

/// How long it is quiet where no fence works.
const QUIET: Duration = Duration::from_millis(300);

/// Passes a fence in two legs: everybody who may have caused something does an exchange, so that it was dealt with;
/// then every observer does one, so that what was queued for them has come.
pub async fn pass(stage: &Stage, senders: &[Arc<ActorState>], observers: &[Arc<ActorState>], place: Option<Value>) {
    let mut first: Vec<&Arc<ActorState>> = senders.iter().collect();
    first.extend(observers.iter().filter(|observer| !senders.iter().any(|sender| Arc::ptr_eq(sender, observer))));
    // Only those who are said to be in the place can speak there.
    let place_of = |actor: &Arc<ActorState>| place.clone().filter(|_| observers.iter().any(|observer| Arc::ptr_eq(observer, actor)));
    for leg in [first, observers.iter().collect()] {
        join_all(leg.into_iter().map(|actor| through(stage, actor, place_of(actor)))).await;
    }
}

/// One actor goes through the first fence that works.
async fn through(stage: &Stage, actor: &Arc<ActorState>, place: Option<Value>) {
    if !actor.is_live() {
        return;
    }
    for id in stage.fences.iter() {
        let fence = stage.world.protocol.fences.iter().find(|fence| fence.id == *id);
        let Some(fence) = fence.filter(|fence| !fence.needs_place || place.is_some()) else {
            continue;
        };
        if once(stage, fence, actor, place.clone()).await {
            return;
        }
        if !actor.is_live() {
            return;
        }
    }
    stage.note(format!("that nothing more came to {} is known from a quiet time of {} ms only", actor.name, QUIET.as_millis()));
    tokio::time::sleep(QUIET).await;
}

/// Whether the actor got through this fence.
pub async fn once(stage: &Stage, fence: &Fence, actor: &Arc<ActorState>, place: Option<Value>) -> bool {
    let inner = stage.for_fence(actor, stage.world.token(), place);
    play::steps(&inner, &fence.steps).await.is_ok()
}
