package ref

import "github.com/nanofleet/nanofleet/engine/abi"

// pool is the page pool: for each page, K and V of 64 positions in every layer, and
// the token ids at those positions.
type pool struct {
	kv     []float32
	tokens []int32
	page   int // floats of one page
	block  int // floats of one layer's K (or V) in a page
	stride int // floats of one position in a block
}

// pageFloats is the K and V elements of one page.
func pageFloats(p *abi.Plan) int {
	return int(p.KVLayers) * 2 * abi.PageLen * int(p.KVHeads) * int(p.HeadDim)
}

func newPool(p *abi.Plan, pages int) pool {
	stride := int(p.KVHeads) * int(p.HeadDim)
	return pool{
		kv: make([]float32, pages*pageFloats(p)), tokens: make([]int32, pages*abi.PageLen),
		page: pageFloats(p), block: abi.PageLen * stride, stride: stride,
	}
}

// key is K of one position of a layer; value is V.
func (p *pool) key(page uint32, layer uint32, offset int) []float32 {
	at := int(page)*p.page + int(layer)*2*p.block + offset*p.stride
	return p.kv[at : at+p.stride]
}

func (p *pool) value(page uint32, layer uint32, offset int) []float32 {
	at := int(page)*p.page + (int(layer)*2+1)*p.block + offset*p.stride
	return p.kv[at : at+p.stride]
}

// token is the place of a position's token id.
func (p *pool) token(page uint32, offset int) *int32 {
	return &p.tokens[int(page)*abi.PageLen+offset]
}

// copyPage copies K, V and token ids.
func (p *pool) copyPage(from, to uint32) {
	copy(p.kv[int(to)*p.page:][:p.page], p.kv[int(from)*p.page:][:p.page])
	copy(p.tokens[int(to)*abi.PageLen:][:abi.PageLen], p.tokens[int(from)*abi.PageLen:][:abi.PageLen])
}
