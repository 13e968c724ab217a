use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;

use verdict::record::Columns;

/// `timeline.csv`: a row each second. An empty field was not measured.
#[derive(Debug)]
pub(super) struct Timeline {
    file: LineWriter<File>,
}

impl Timeline {
    /// Makes the file; `first` has the columns that each row has.
    pub(super) fn create(path: &Path, first: &Columns) -> std::io::Result<Self> {
        let mut file = LineWriter::new(File::create(path)?);
        writeln!(file, "{}", first.names())?;
        Ok(Self { file })
    }

    pub(super) fn row(&mut self, columns: &Columns) -> std::io::Result<()> {
        writeln!(self.file, "{}", columns.values())
    }
}
