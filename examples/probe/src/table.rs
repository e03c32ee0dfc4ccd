//! Columns that stand below one another.

/// Rows of cells; the last cell of a row is as long as it likes.
#[derive(Default)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.0.push(cells.into_iter().map(Into::into).collect());
    }

    /// The rows as lines, each of which begins with two spaces.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter(move |row| row.len() > column + 1).map(move |row| &row[column]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.0.iter().map(move |row| {
            let mut line = String::new();
            for (cell, &width) in row.iter().zip(&widths) {
                // A column that is empty in all rows is none.
                if width > 0 || !cell.is_empty() {
                    line += &format!("  {cell:width$}");
                }
            }
            line.trim_end().to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_one_another_and_empty_columns_take_no_room() {
        let mut table = Table::default();
        table.row(["a", "", "long", "x"]);
        table.row(["bcd", "", "s", "and so on"]);
        table.row(["the last cell of a row is as long as it likes"]);
        let lines: Vec<String> = table.lines().collect();
        assert_eq!(
            lines,
            ["  a    long  x", "  bcd  s     and so on", "  the last cell of a row is as long as it likes"]
        );
    }
}
