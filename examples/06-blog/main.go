// Blog shows what holds between streams: a post needs a blog that exists, which
// is a reference, and no two posts have the same address, which is a claim. Both
// are said where the event is declared, and hold however many write at once.
//
//	go run ./examples/06-blog
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
)

// What happens to blogs and posts.
type (
	BlogEvent interface{ blogEvent() }
	PostEvent interface{ postEvent() }
	Founded   struct{ Title string }
	Written   struct{ Blog, Slug, Text string }
	Moved     struct{ Blog, From, To string }
)

func (Founded) blogEvent() {}
func (Written) postEvent() {}
func (Moved) postEvent()   {}

// slug is the address of a post in its blog.
func slug(blog, name string) []daybook.Claim {
	return []daybook.Claim{{Kind: "slug", Value: blog + "/" + name}}
}

var (
	blogEvents = codec.Must(codec.New[BlogEvent](codec.Event[Founded]("founded")))
	postEvents = codec.Must(codec.New[PostEvent](
		codec.Event[Written]("written",
			codec.Requires(func(e Written) []daybook.StreamID { return []daybook.StreamID{daybook.Stream("blog-" + e.Blog)} }),
			codec.Claims(func(e Written) []daybook.Claim { return slug(e.Blog, e.Slug) })),
		codec.Event[Moved]("moved",
			codec.Releases(func(e Moved) []daybook.Claim { return slug(e.Blog, e.From) }),
			codec.Claims(func(e Moved) []daybook.Claim { return slug(e.Blog, e.To) })),
	))
)

// Blog and Post are what has become of them.
type (
	Blog struct{ Title string }
	Post struct{ Blog, Slug, Text string }
)

// The commands need no more than the events that they lead to: what must hold
// is in those.
func found(title string) func(Blog) ([]BlogEvent, error) {
	return func(Blog) ([]BlogEvent, error) { return []BlogEvent{Founded{title}}, nil }
}

func write(blog, slug, text string) func(Post) ([]PostEvent, error) {
	return func(p Post) ([]PostEvent, error) {
		if p.Slug != "" {
			return nil, errors.New("the post is written already")
		}
		return []PostEvent{Written{blog, slug, text}}, nil
	}
}

func move(to string) func(Post) ([]PostEvent, error) {
	return func(p Post) ([]PostEvent, error) { return []PostEvent{Moved{p.Blog, p.Slug, to}}, nil }
}

func evolvePost(p Post, event PostEvent) Post {
	switch e := event.(type) {
	case Written:
		p = Post(e)
	case Moved:
		p.Slug = e.To
	}
	return p
}

func main() {
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	if err := run(context.Background(), store, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, store *daybook.Store, out io.Writer) error {
	blogs, err := aggregate.New(store, "blog", blogEvents, aggregate.Decider[Blog, func(Blog) ([]BlogEvent, error), BlogEvent]{
		Decide: func(b Blog, command func(Blog) ([]BlogEvent, error)) ([]BlogEvent, error) { return command(b) },
		Evolve: func(_ Blog, event BlogEvent) Blog { return Blog(event.(Founded)) },
	}, nil)
	if err != nil {
		return err
	}
	posts, err := aggregate.New(store, "post", postEvents, aggregate.Decider[Post, func(Post) ([]PostEvent, error), PostEvent]{
		Decide: func(p Post, command func(Post) ([]PostEvent, error)) ([]PostEvent, error) { return command(p) },
		Evolve: evolvePost,
	}, nil)
	if err != nil {
		return err
	}

	_, err = posts.Execute(ctx, "1", write("go", "hello", "Hello"), nil)
	fmt.Fprintln(out, "without a blog:", err)
	if _, err := blogs.Execute(ctx, "go", found("All about Go"), nil); err != nil {
		return err
	}

	// Ten write at once, at the same address: one of them does.
	var group sync.WaitGroup
	errs := make([]error, 10)
	for i := range errs {
		group.Go(func() { _, errs[i] = posts.Execute(ctx, fmt.Sprint(i), write("go", "hello", "Hello"), nil) })
	}
	group.Wait()
	written, taken := 0, 0
	for _, err := range errs {
		var claim *daybook.ClaimError
		switch {
		case err == nil:
			written++
		case errors.As(err, &claim):
			taken++
		default:
			return err
		}
	}
	fmt.Fprintf(out, "at one address: %d written, %d times taken\n", written, taken)

	// Whoever moves away leaves the address to others.
	holder, _, err := store.ClaimHolder(ctx, "", slug("go", "hello")[0])
	if err != nil {
		return err
	}
	if _, err := posts.Execute(ctx, holder.Key(), move("hello-2"), nil); err != nil {
		return err
	}
	_, err = posts.Execute(ctx, "new", write("go", "hello", "Hello again"), nil)
	fmt.Fprintln(out, "the address that was left:", err)
	return nil
}
