// Package catalogue is what a disc says about itself: the manifests of its archives, catalogue.json, disc_info.json, SHA256SUMS,
// NAMES.TSV and the README for its finder, as docs/disc-format.md specifies them. It makes and reads their bytes and knows
// nothing of how a disc holds files.
package catalogue
