//! Tables of figures.

use maud::{Markup, html};

use super::text::visible;

/// A table: what its first column names, then figures. It scrolls by itself where there is no room for it.
pub fn figures<const N: usize>(titles: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Markup {
    html! {
        div class="scroll" tabindex="0" {
            table class="figures" {
                thead { tr { @for title in titles { th scope="col" { (title) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (column, cell) in row.iter().enumerate() {
                                @if column == 0 { th scope="row" { (visible(cell)) } } @else { td class="number" { (visible(cell)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A figure that stands out, with what it is of; `class` gives its colour.
pub fn tile(class: &str, figure: &str, of: &str) -> Markup {
    html! { li class=[Some(class).filter(|class| !class.is_empty())] { strong { (visible(figure)) } span { (visible(of)) } } }
}
