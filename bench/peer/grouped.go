package peer

import "context"

// groupAppends is where a group before an engine takes no more callers.
const groupAppends = 1024

// groupedPeer puts group commit before an engine: what waits goes into one
// transaction of the engine.
type groupedPeer struct {
	Peer
	committer[[]Append]
}

// grouped returns what opens the same peer with group commit before it.
func grouped(open func(context.Context, Place) (Peer, error)) func(context.Context, Place) (Peer, error) {
	return func(ctx context.Context, place Place) (Peer, error) {
		inner, err := open(ctx, place)
		if err != nil {
			return nil, err
		}
		g := &groupedPeer{Peer: inner}
		g.commit = func(group *[]Append) error { return inner.Append(context.WithoutCancel(ctx), *group...) }
		g.full = func(group *[]Append) bool { return len(*group) >= groupAppends }
		g.empty = func(group *[]Append) {
			clear(*group)
			*group = (*group)[:0]
		}
		return g, nil
	}
}

// Append implements Peer. When a group is refused, which one of its appends
// was at fault is not known: each of them is tried alone.
func (g *groupedPeer) Append(ctx context.Context, appends ...Append) error {
	err := g.do(func(group *[]Append) { *group = append(*group, appends...) })
	if err != nil {
		return g.Peer.Append(ctx, appends...)
	}
	return nil
}
