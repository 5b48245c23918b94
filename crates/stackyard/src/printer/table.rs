//! Tables that stay readable in a narrow terminal and in a pipe.

use comfy_table::{ContentArrangement, Table, presets};

/// A table with a header line and no frame. Columns wrap to the width of the terminal.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    columns(head.map(str::to_owned).to_vec(), rows.into_iter().map(Vec::from))
}

/// As [`table`], for columns that another program chose.
pub fn columns(head: Vec<String>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
