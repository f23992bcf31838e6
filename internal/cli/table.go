package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/proto"
)

// column is one of a table. An optional one is left out when it has nothing to show for any row.
type column[T any] struct {
	head     string
	optional bool
	cell     func(T) string
}

// tabulate prints a table of those columns that have something to show.
func tabulate[T any](w io.Writer, items []T, columns []column[T]) {
	shown := columns[:0:0]
	for _, c := range columns {
		some := !c.optional
		for _, item := range items {
			some = some || c.cell(item) != ""
		}
		if some {
			shown = append(shown, c)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	heads := make([]string, len(shown))
	for i, c := range shown {
		heads[i] = c.head
	}
	fmt.Fprintln(t, strings.Join(heads, "\t"))
	for _, item := range items {
		row := make([]any, len(shown))
		for i, c := range shown {
			row[i] = c.cell(item)
		}
		fmt.Fprintln(t, cells(row...))
	}
	t.Flush()
}

// listBy prints messages as list does, with optional columns.
func listBy[T proto.Message](a *app, items []T, columns []column[T]) error {
	if a.json {
		return list(a, items, "", nil)
	}
	tabulate(a.stdout, items, columns)
	return nil
}

// count is a number in a table's optional column: nothing is shown as nothing.
func count(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
