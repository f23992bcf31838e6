package discset

import _ "embed"

// decoder is the source of archive/discset/decoder, which goes onto every parity disc.
//
//go:embed decoder/main.go
var decoder []byte
