//! The summary of a matrix: what isn't as it should be. The whole matrix is a page of its own.

use super::text::{cell, code, inline, table};
use super::{Page, folded};
use crate::event::{Kind, Log};
use crate::report::cases::{Case, Cases};

pub fn page(log: &Log) -> String {
    let cases = Cases::of(log);
    let mut page = Page::new(Kind::Sensitivity, &cases.word, &cases.sentence);
    let wrong: Vec<&Case> = cases.cases.iter().filter(|case| case.state.is_red()).collect();
    let rows: Vec<Vec<String>> = wrong.iter().map(|case| vec![cell(&case.id), inline(&case.title), inline(&case.why)]).collect();
    if !rows.is_empty() {
        page.block(&table(&["server or scenario", "", "what is wrong"], &rows));
    }
    for case in wrong.iter().filter(|case| !case.details.is_empty()) {
        page.block(&folded(&case.id, &super::text::block(&case.details)));
    }
    if !log.header.reproduce.is_empty() {
        page.block(&format!("Again: {}", code(&log.header.reproduce)));
    }
    page.finish()
}
