//! Progress of long work, drawn on standard error where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::screen::Screen;

/// A bar of `length` steps; draws nothing where nobody sees it.
pub(crate) fn bar(screen: &Screen, what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}");
    draw(screen, ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden()), what, style)
}

/// A sign of life for work of unknown length.
pub(crate) fn spinner(screen: &Screen, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {pos}");
    let spinner =
        draw(screen, ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()), what, style);
    if screen.may_draw() {
        spinner.enable_steady_tick(Duration::from_millis(100));
    }
    spinner
}

fn draw(
    screen: &Screen,
    bar: ProgressBar,
    what: &'static str,
    style: Result<ProgressStyle, indicatif::style::TemplateError>,
) -> ProgressBar {
    if screen.may_draw() {
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    }
    bar.with_style(style.expect("the template is right")).with_message(what)
}
