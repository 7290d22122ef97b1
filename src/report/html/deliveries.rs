//! What arrived and what didn't: the account of a load with its witnesses, and its errors.

use maud::{Markup, html};

use super::text::visible;

use crate::event::{Blame, ErrorCount};
use crate::ledger::{Account, WITNESSES, Witness, Wrong};
use crate::report::figures::{count, percent, plural, seconds};
use crate::report::load::meaning;

/// The account: what was due, what arrived, and each kind of what went wrong with the first that it happened to.
pub fn account(account: &Account) -> Markup {
    let Account { due, delivered, indeterminate, .. } = account;
    html! {
        h2 { "Deliveries" }
        p {
            (count(*delivered)) " of " (plural(*due, "delivery", "deliveries")) " arrived"
            @if *due > 0 { " (" (percent(*delivered as f64 / *due as f64)) ")" }
            @if account.is_clean() && *delivered > 0 { ", each once, in order and unaltered" }
            "."
            @if *indeterminate > 0 {
                " " (count(*indeterminate)) " more are not judged: their members were coming or going, or lost their connection."
            }
        }
        div class="scroll" tabindex="0" {
            table class="figures" {
                thead { tr { th scope="col" { "wrong" } th scope="col" { "count" } th scope="col" class="text" { "what that means" } } }
                tbody {
                    @for wrong in Wrong::ALL {
                        @let number = account.count(wrong);
                        tr class=[(number > 0).then_some("fail")] {
                            th scope="row" { (wrong.name()) }
                            td class="number" { (count(number)) }
                            td class="dim" { (meaning(wrong)) }
                        }
                    }
                }
            }
        }
        @for wrong in Wrong::ALL.into_iter().filter(|wrong| account.count(*wrong) > 0) { (witnesses(account, wrong)) }
    }
}

fn witnesses(account: &Account, wrong: Wrong) -> Markup {
    let shown: Vec<&Witness> = account.witnesses.iter().filter(|witness| witness.wrong == wrong).collect();
    let all = account.count(wrong);
    let first = if all > WITNESSES as u64 { format!("The first {} that were {wrong}", shown.len()) } else { format!("What was {wrong}") };
    html! {
        @if !shown.is_empty() {
            details open[shown.len() <= 5] {
                summary { (first) }
                div class="scroll" tabindex="0" {
                    table class="figures" {
                        thead {
                            tr {
                                @for title in ["found at", "message"] { th scope="col" { (title) } }
                                @for title in ["room", "of", "for", ""] { th scope="col" class="text" { (title) } }
                            }
                        }
                        tbody {
                            @for Witness { at_ms, room, sender, number, member, note, .. } in shown {
                                tr {
                                    td class="number" { (seconds(*at_ms)) }
                                    td class="number" { (number) }
                                    @for text in [room, sender, member, note] { td { (visible(text)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Errors by kind and by whose doing they are, the most frequent first, with how to mend what is this machine's.
pub fn errors(errors: &[ErrorCount]) -> Markup {
    let mut sorted: Vec<&ErrorCount> = errors.iter().collect();
    sorted.sort_by_key(|error| (std::cmp::Reverse(error.count), &error.doing, &error.what));
    html! {
        @if !sorted.is_empty() {
            h2 { "Errors" }
            div class="scroll" tabindex="0" {
                table class="figures" {
                    thead {
                        tr {
                            @for title in ["while", "count", "first at"] { th scope="col" { (title) } }
                            @for title in ["what", "whose doing"] { th scope="col" class="text" { (title) } }
                        }
                    }
                    tbody {
                        @for error in sorted {
                            tr {
                                th scope="row" { (visible(&error.doing)) }
                                td class="number" { (count(error.count)) }
                                td class="number" { (seconds(error.first_ms)) }
                                td {
                                    strong class="fail" { (visible(&error.what)) }
                                    @if let Some(mend) = &error.mend { br; (visible(mend)) }
                                }
                                td { (whose(error.blame)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn whose(blame: Blame) -> &'static str {
    match blame {
        Blame::Local => "this machine's",
        Blame::Server => "the target's",
    }
}
