// Package golden keeps small discs of every version of the disc format, as they were when it was released, and tests that they are read to this
// day, bit by bit. It has tests only, and knows every package of archive. How the format is changed: CONTRIBUTING.md.
package golden
