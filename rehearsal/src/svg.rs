//! The SVG elements of the chart. Coordinates are pixels from the top left corner.

use std::fmt::{Display, Write};

/// The alignment of a text relative to its position.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A rectangle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// An SVG image.
#[derive(Debug)]
pub(crate) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    /// An empty image on a white background, so that it is readable on dark pages too.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        let mut svg = Self { body: String::new(), width, height };
        svg.push(format_args!(
            r##"<rect width="{width}" height="{height}" rx="10" fill="#ffffff" stroke="#d7dce3"/>"##
        ));
        svg
    }

    pub(crate) fn rect(&mut self, area: Area, fill: &str) {
        let Area { x, y, width, height } = area;
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"/>"#
        ));
    }

    /// A horizontal line from (`x`, `y`).
    pub(crate) fn rule(&mut self, x: f64, y: f64, width: f64, colour: &str) {
        let end = x + width;
        self.push(format_args!(r#"<path d="M{x:.1} {y:.1}H{end:.1}" stroke="{colour}"/>"#));
    }

    /// `class` is one of those in the style sheet below.
    pub(crate) fn text(&mut self, x: f64, y: f64, class: &str, anchor: Anchor, text: impl Display) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(&text.to_string());
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" class="{class}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// The complete image. `title` is for screen readers.
    pub(crate) fn finish(self, title: &str) -> String {
        let Self { body, width, height } = self;
        let title = escaped(title);
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>{title}</title>
<style>
text {{ font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; fill: #4b5563; }}
.title {{ font-size: 20px; font-weight: 600; fill: #111827; }}
.heading {{ font-size: 15px; font-weight: 600; fill: #111827; }}
.bad {{ font-size: 15px; font-weight: 600; fill: #c62f2f; }}
.good {{ font-size: 15px; font-weight: 600; fill: #1d7a46; }}
</style>
{body}</svg>
"##
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_the_markup() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text(1.0, 2.0, "title", Anchor::End, "a < b & c");
        let image = svg.finish("<none>");
        assert!(
            image
                .contains(r#"<text x="1.0" y="2.0" class="title" text-anchor="end">a &lt; b &amp; c</text>"#)
        );
        assert!(image.contains("<title>&lt;none&gt;</title>"));
    }
}
