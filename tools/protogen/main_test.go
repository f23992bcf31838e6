package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The generated code is committed so that building needs none of these tools; this shows that it is what the sources say.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	root := filepath.Join("..", "..")
	want, err := generate(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Errorf("%v: run `make proto`", err)
		} else if !bytes.Equal(got, content) {
			t.Errorf("%s is not what the sources give: run `make proto`", name)
		}
	}
	have, err := filepath.Glob(filepath.Join(root, generated, "*.pb.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(have) != len(want) {
		t.Errorf("%d generated files are committed, the sources give %d: run `make proto`", len(have), len(want))
	}
}
