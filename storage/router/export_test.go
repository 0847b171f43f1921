package router

// KeepBlocks makes a router keep so few blocks of entries, to have them read
// again.
func (d *Driver) KeepBlocks(n int) { d.order.maxBlocks = n }

// BlockEntries is how many entries a block has.
const BlockEntries = blockEntries
