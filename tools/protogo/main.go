// Protogo makes Go of protobuf files, as protoc with protoc-gen-go does, and
// needs neither: the compiler is a library, and the generator is run from the
// module cache.
//
//	//go:generate go -C ../../tools run ./protogo ../examples/10-protobuf account.proto
//
// The first argument is a directory, seen from the module of the tools; the
// others are files in it. Each becomes a .pb.go beside it.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
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

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: protogo DIRECTORY FILE...")
	}
	if err := run(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir string, files []string) error {
	request, err := compile(ctx, dir, files)
	if err != nil {
		return err
	}
	response, err := generate(ctx, request)
	if err != nil {
		return err
	}
	for _, file := range response.File {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file.GetName())), []byte(file.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compile returns what a compiler asks a generator.
func compile(ctx context.Context, dir string, files []string) (*pluginpb.CodeGeneratorRequest, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{dir}}),
		SourceInfoMode: protocompile.SourceInfoStandard, // the comments
	}
	compiled, err := compiler.Compile(ctx, files...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: files, Parameter: proto.String("paths=source_relative")}
	for _, file := range compiled {
		request.ProtoFile = withImports(request.ProtoFile, file)
	}
	return request, nil
}

// withImports appends a file behind the files that it imports, each once.
func withImports(to []*descriptorpb.FileDescriptorProto, file protoreflect.FileDescriptor) []*descriptorpb.FileDescriptorProto {
	for _, known := range to {
		if known.GetName() == file.Path() {
			return to
		}
	}
	imports := file.Imports()
	for i := range imports.Len() {
		to = withImports(to, imports.Get(i).FileDescriptor)
	}
	return append(to, protoutil.ProtoFromFileDescriptor(file))
}

// generate asks protoc-gen-go, of the version in the module of the tools.
func generate(ctx context.Context, request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	in, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	generator := exec.CommandContext(ctx, "go", "run", "google.golang.org/protobuf/cmd/protoc-gen-go")
	generator.Stdin, generator.Stderr = bytes.NewReader(in), os.Stderr
	out, err := generator.Output()
	if err != nil {
		return nil, fmt.Errorf("protoc-gen-go: %w", err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out, response); err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	return response, nil
}
