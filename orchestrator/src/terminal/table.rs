//! Tables and numbers for people, the same in the demonstration and in the commands.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// How a column stands under its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// Lines of an aligned table without borders; no colours, so it reads the same in a file.
pub fn lines(columns: &[(&str, Align)], rows: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(title, _)| *title));
    for row in rows {
        table.add_row(row);
    }
    for (column, (_, align)) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        column.set_cell_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Bytes with three digits or so, in powers of 1000: `1.25 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let scaled = |power: u32| bytes as f64 / 1000f64.powi(power as i32);
    let power = (1..4).find(|power| scaled(*power) < 1000.0).unwrap_or(4);
    let digits = if scaled(power) < 10.0 { 2 } else { 1 };
    format!("{:.digits$} {}", scaled(power), UNITS[power as usize - 1])
}

/// Operations with three digits or so: `13.2 M`.
pub fn count(count: u64) -> String {
    bytes(count).trim_end_matches('B').trim_end().to_owned()
}

/// Milliseconds: `0.412`, `13.4`, `254`.
pub fn milliseconds(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 1.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

/// What is known, and a dash for what is not.
pub fn optional(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// A share of 1 in percent: `91.2 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_titles() {
        let columns = [("link", Align::Left), ("rtt ms", Align::Right)];
        let rows = [["main -> attic", "1.5"], ["x", "12.0"]].map(|row| row.map(str::to_owned).to_vec());
        let expect = ["link           rtt ms", "main -> attic     1.5", "x                12.0"];
        assert_eq!(lines(&columns, rows), expect);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0, 999, 1000, 9_994, 12_345, 1_250_000, 25_600_000_000].map(bytes);
        assert_eq!(texts, ["0 B", "999 B", "1.00 kB", "9.99 kB", "12.3 kB", "1.25 MB", "25.6 GB"]);
        assert_eq!([999, 40_800_000].map(count), ["999", "40.8 M"]);
        assert_eq!([0.412, 13.37, 254.4].map(milliseconds), ["0.41", "13.4", "254"]);
    }
}
