// Command protogen generates the Go code of the public contract, proto/odarchivev1, from proto/odarchive/v1. It needs no
// protoc: the compiler and both plugins are Go modules, pinned in this folder's go.mod. It knows nothing of the project
// but where these two folders are.
//
// Run by `make proto`, from the tools folder.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	sources   = "odarchive/v1"
	generated = "proto/odarchivev1"
	module    = "github.com/odarchive/odarchive"
)

func main() {
	if err := write(context.Background(), ".."); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

// write brings the generated folder of the checkout at root up to date; files that no source has any more are removed.
func write(ctx context.Context, root string) error {
	files, err := generate(ctx, root)
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(root, generated, "*.pb.go"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if _, kept := files[filepath.ToSlash(filepath.Join(generated, filepath.Base(path)))]; !kept {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, content) {
			continue
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
		fmt.Println("wrote", name)
	}
	return nil
}

// generate compiles every source below root and returns what the plugins make of it, by path below root.
func generate(ctx context.Context, root string) (map[string][]byte, error) {
	folder := filepath.Join(root, "proto")
	paths, err := filepath.Glob(filepath.Join(folder, sources, "*.proto"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no .proto file in %s", filepath.Join(folder, sources))
	}
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = sources + "/" + filepath.Base(path)
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{folder}}),
		SourceInfoMode: protocompile.SourceInfoStandard, // comments become Go comments
	}
	compiled, err := compiler.Compile(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	roots := make([]protoreflect.FileDescriptor, len(compiled))
	for i, file := range compiled {
		roots[i] = file
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String("module=" + module),
		ProtoFile:      dependenciesFirst(roots),
	}
	out := map[string][]byte{}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		response, err := run(ctx, plugin, request)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", plugin, err)
		}
		for _, file := range response.File {
			out[file.GetName()] = []byte(file.GetContent())
		}
	}
	return out, nil
}

// dependenciesFirst is the order in which plugins want the files.
func dependenciesFirst(roots []protoreflect.FileDescriptor) (files []*descriptorpb.FileDescriptorProto) {
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		files = append(files, protoutil.ProtoFromFileDescriptor(file))
	}
	for _, file := range roots {
		add(file)
	}
	return files
}

// run asks one plugin, a tool of this module.
func run(ctx context.Context, plugin string, request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	in, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", plugin)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(answer, response); err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	return response, nil
}
