//! A table whose rows stand in groups under headings: as text for a terminal, and in Markdown.

use verdict::units::WIDTH;

/// A table.
pub(super) struct Grid {
    /// The heading of each column, the first of which names the rows.
    pub header: Vec<String>,
    /// The heading under which a row stands, and its cells. One that is the same as before is not
    /// repeated.
    pub rows: Vec<(String, Vec<String>)>,
    /// A column beside the first that is set to the left.
    pub left: Option<usize>,
}

impl Grid {
    /// Columns aligned with `gap` between two, each line after `lead`. A heading of several lines makes
    /// the header as high.
    pub fn text(&self, lead: &str, gap: &str) -> String {
        let height = self.header.iter().map(|cell| cell.lines().count()).max();
        let header = (0..height.unwrap_or(1)).map(|n| {
            let line = |cell: &String| cell.lines().nth(n).unwrap_or_default().to_owned();
            self.header.iter().map(line).collect::<Vec<_>>()
        });
        let header: Vec<_> = header.collect();
        let lines = || {
            header
                .iter()
                .chain(self.rows.iter().map(|(_, cells)| cells))
        };
        let width = |column: usize| {
            let cells = lines().filter_map(|cells| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.header.len()).map(width).collect();
        let aligned = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match self.is_left(column) {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            });
            let line = lead.to_owned() + &cells.collect::<Vec<_>>().join(gap);
            line.trim_end().to_owned() + "\n"
        };
        let mut text: String = header.iter().map(aligned).collect();
        for (heading, cells) in self.headed() {
            if let Some(heading) = heading {
                let heading = format!("── {heading} ");
                let rule = WIDTH.saturating_sub(heading.chars().count());
                text.push_str(&format!("{heading}{}\n", "─".repeat(rule)));
            }
            text.push_str(&aligned(cells));
        }
        text
    }

    /// For a document.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = (0..self.header.len()).map(|column| {
            if self.is_left(column) {
                "---|"
            } else {
                "---:|"
            }
        });
        let mut text = format!("{}|{}\n", line(&self.header), rule.collect::<String>());
        for (heading, cells) in self.headed() {
            if let Some(heading) = heading {
                let empty = " |".repeat(self.header.len() - 1);
                text.push_str(&format!("| **{heading}** |{empty}\n"));
            }
            text.push_str(&line(cells));
        }
        text
    }

    fn is_left(&self, column: usize) -> bool {
        column == 0 || self.left == Some(column)
    }

    /// Each row, with its heading where that is another one than before.
    fn headed(&self) -> impl Iterator<Item = (Option<&str>, &Vec<String>)> {
        let mut before = "";
        self.rows.iter().map(move |(heading, cells)| {
            let is_new = heading != before;
            before = heading;
            (is_new.then_some(heading.as_str()), cells)
        })
    }
}
