/* chunker.c - see chunker.h. */
#include "chunker.h"

#include <stdbool.h>

#define KIB ((size_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* splitmix64 seeded with "daybook1".  Never changed: other numbers cut elsewhere, and nothing old
 * would be shared with anything new. */
static const uint64_t gear[256] = {
	0x36305e40b1b3f384, 0x5ce34e624ade5446, 0xa37d4414c8ed82b6, 0x995510877f4fdf70,
	0x22bb9f160e1d14d1, 0xf5a74a57a6abf312, 0xa4b571218faf8b80, 0x5583136bc6d7b44f,
	0xb14e88e458a0253b, 0x8b9fe120f537e934, 0x1ba838e183d7b24d, 0x6bbecd8bf7f7369e,
	0xb5e6334fcea9ef7f, 0xb6c54c19280c22cf, 0x932cc91106ff3ed0, 0xc688eff8fd52a91e,
	0x6a613d50d0ba0c8f, 0x00520266a3bdfe59, 0xd36980227447d414, 0x38866824713401a1,
	0x85cf8ea321201d78, 0x9ed325a213d911cd, 0x058a82449d10343a, 0x366866c678edf5a6,
	0x281dcb638140aecb, 0x788b91acc3a85c82, 0x8c61e30f2be8040a, 0x025e5dfa78095541,
	0x4da3a7f367ee9718, 0xa5ab390337292cde, 0xfc1f68e80e86a139, 0xee14d0696a6ef840,
	0x1f34f67a87432548, 0xf028db6512894582, 0x973799e2595eca16, 0xf524023ddbdf618e,
	0xbb4d302012908d06, 0x6ab34dd3c8d463a1, 0x3fab26278952fe0f, 0xe5d10314a345a0c2,
	0xeeda744e2491400a, 0x5be150e74ade71ab, 0x22d33f7c0dbce3d8, 0x3a519633a7962cf8,
	0xabf57dcca0273f40, 0x6c8c16af3791cefd, 0x135b405de6b89bcf, 0xdb31801d65cce531,
	0xf2782a9bd9317a3c, 0xaf8767e0e08b06b9, 0x976671865260078d, 0x6bf5b1be47304b73,
	0x3c79da8bf6c2439f, 0x691e5ae6dc072944, 0x3563120c75e8a851, 0xa113055de5403a6e,
	0xce98f33b731d560b, 0x1b34849cfa4f87b9, 0x700b5cdda1c1a30d, 0x0efaeed7e4523b25,
	0x648521eac2524ecc, 0xd7e8da70e6f0cbb0, 0xb2dd8037a2deda71, 0xf0eb7102b4058313,
	0xb8c8ca8ea6de3fee, 0x2aa23be19c22aaa7, 0x6b3a35461ddc3e53, 0x80c8a28644097418,
	0x5ba1806b309e7a78, 0x2c6b311b15032bd8, 0x753219375aad759f, 0xd992387f52c61f61,
	0x4714661d5f7919a0, 0x11adde283dfc4ec5, 0x09f0b5e466db40cb, 0x86c81bb30c1f6b85,
	0x682615225e5810cf, 0x7cfda2792f8dcd72, 0xa01bad66447ebdd4, 0x17e036dd01afbdbe,
	0x3a0d4545d72e5ee6, 0xab3a139c5eba1fd5, 0x19ee588ed84ab029, 0xf3f1f0618cba42d5,
	0x525043db4428cee4, 0x4260ab92d824ec36, 0x72f38277363ce9a6, 0x5a9b833eba2eff31,
	0x1c8bd6c0ac99bfff, 0x4256ece10ed380d0, 0x3dcf4b0318dd7fc5, 0x9282ec34f9f1c332,
	0xacadf76721842202, 0xc9334abd718619b6, 0x4aa1a6cdc57adc79, 0x3fe90d8695ffa1ec,
	0x94b68df0a621b1d5, 0x4780f8ae9dc784d7, 0x66c122f62303bcfb, 0x3abf5d49395e4a8c,
	0x0a98dc381e7bf1bb, 0x27567b171ad502cd, 0x213bbd2b4cf9bcd0, 0x6a24e228351a06a2,
	0x3179d64c0d4ee3b4, 0x33c9b1e17e98e63f, 0x9fbc71d912603725, 0x27c69786990efced,
	0x91ccc1c63daf46e0, 0xd1d758dcb168007b, 0x080c6dfcb044f54c, 0xc9c1f062b998f6e4,
	0x336bae70a78a8253, 0xb9e81d3ffdb86326, 0x7880efd5346b43aa, 0x2392a90f86d5e50c,
	0xd92694de77d66fa6, 0xbb87b8e0110e3920, 0x91767b8b22fa8419, 0x357dd7814a986688,
	0x57678dc22fe1c364, 0x9516abe05d8e8e87, 0xb08072be674c4388, 0xa2d7568bfb2698af,
	0x3543a50bedec9bc8, 0x944380eaef76c65d, 0x0ffe67d350a4d623, 0x637b72f064da2ddf,
	0xf7c91f745cbf264d, 0x97eae49345448853, 0xd0cc8f905dc9ae52, 0x4ac349930fd63d5d,
	0x7905dd4987237deb, 0xbb194912106dd77d, 0x2a087baad3cfb474, 0xece21a05cab0367c,
	0xeabae55479291223, 0xe741604c6b7a7c64, 0x19cdc5761a3eaff6, 0x5e9fd5fc7372bce2,
	0x2553b0d7be651ddd, 0x845b5177bd538888, 0xc8c3417b3efe02c4, 0x56690b05af317d3d,
	0xbbe8856ab37f53e9, 0xf7a5f71fcd8d98fd, 0x4dda66d5bab00530, 0x8b9cf16d4557c9f0,
	0x854ea699c6becec5, 0x9fb86e8c25668dd0, 0x0a76f84c25849717, 0x2152762b9f9ec56b,
	0x00c067c2c105cc60, 0x0609901e90a6a903, 0x9f7e0d29d25be3d4, 0x7a905f462ae443bb,
	0x63497c07a5b5f61e, 0xfa2330ad4b5ce536, 0x76eddf16219be50e, 0xe228968c86c12e3c,
	0xcf25fe33ad7ef16f, 0x4c465fb8423201e9, 0x36bf9550546e5007, 0x505eb1367c93f621,
	0xaa23a83129d240f5, 0x3c9a54234265e40d, 0x26fac8b4bbb35965, 0x240efc2fb8f94264,
	0x3c024a1ecebf1902, 0xbba13e0cfab96ffa, 0x1b74470c871bf754, 0xc19af0778363cd51,
	0xa77450d5d11f9993, 0x0c46b46c9a8f732e, 0x04a0ac305b36a0fb, 0x05846020d6c6cc09,
	0xb5df7e91cca8b0ce, 0x1d189460d50e5935, 0x1501121ffb307faa, 0xf6da2dd3b07d4e08,
	0x24cf84c5d3ae8162, 0x160efebc9c57d844, 0x14b7e248832deab5, 0x0468d5eaf9849567,
	0x1097834c184070f3, 0x452fc0f0e3c816b2, 0xb88a1066f07d9bdf, 0x105b29cc9f154430,
	0x0011ccdeba086ce9, 0x2ea7781a6f3d615e, 0xae0a4751b96ee9b4, 0xdd86a8311c7ff719,
	0x3817c5f11cb79fb7, 0x007185257b8b7df5, 0x80679689342a2f58, 0xf45d800135995478,
	0xff7210784b0d48ae, 0x0105e3faf84a39da, 0x15d1d3ab064fe720, 0xb633a2472398fc2b,
	0x1fcbc01cc9c55027, 0x1357fabd59411cdf, 0x85d3b0b4742499cc, 0x3dac1c78ab9a9fd1,
	0x0d92853c45bbd164, 0xa1256618ddc646c0, 0x6e4c93de56637285, 0xf3db4a16ef0d0ee4,
	0x8f3cdda251c63c00, 0xee0769bdf1741964, 0x284d62b408a40934, 0x265eb3433c8b910c,
	0xe7dc21e64befc677, 0x79d3750ec7597d10, 0xdb59bfbce7aef204, 0x90a4d2dc6acd1362,
	0xf6ee8ac7323c2299, 0x06fbf6a5fd6c4d86, 0x3851987ed247eac2, 0x7d6f5a21705c45cd,
	0x8f9233154c71f740, 0x9058bbd5bb2940dc, 0xc8372caa44a2df7b, 0x40f28a3150b0ea21,
	0x7170ed3d24f92b2c, 0xc60b389100c5710e, 0xd8934fc8bc3dde25, 0x73e658f718d0b046,
	0x1f430f8be0e517cc, 0x5cac79bacbb65085, 0xe971493fda6bd77a, 0x45e2bc99713a0528,
	0x71e8fcf58abb4cc3, 0xa9aa79d88a9c6381, 0xb3aacb6dad8dc96b, 0x7d32a4e494c8dd13,
	0xc61f42b1e3b30e20, 0x0821b51636ac866b, 0x66b118b95e5a00cb, 0xa93d4488e685a866,
	0xe5b6314532b3cc2d, 0xefa681ab802f07d6, 0xc7f5f9f3747aaff8, 0x49e906755fe7e444,
	0x98ef2c6d037eee06, 0xad74fc129d78c8a7, 0x87e4d83b06ca71bd, 0x6cf47ade5aa20541,
	0xad983f5824b4d353, 0x27adb88c8625f0d9, 0x8e11b496a2a70fbf, 0xd6ea8637ed2e5798,
	0x09c24918ac337a14, 0xe74dc64d1afefcf1, 0x001c34e853ba8225, 0x19c23eeda1b0f1de,
};

/* The top bits of the rolling hash: they depend on the last 64 bytes, and a mask of more bits holds
 * one of fewer. */
static uint64_t top_bits(unsigned n)
{
	return ~(uint64_t)0 << (64 - n);
}

struct chunker chunker_for(uint64_t size)
{
	unsigned bits = size <= 4 * MIB ? 13 : size <= 64 * MIB ? 14 : 15;
	size_t average = (size_t)1 << bits;

	return (struct chunker){
		.min = average / 4,
		.average = average,
		.max = 8 * average > 128 * KIB ? 128 * KIB : 8 * average,
		.mask_strict = top_bits(bits + 2),
		.mask_loose = top_bits(bits - 2),
	};
}

/* The first cut in [at, end), or 0.  A byte at a time, but four a turn: the hash of one needs that
 * of the one before and nothing else.  The mask's bits are the highest, so that they are zero in
 * numbers below `limit`. */
static inline size_t find_cut(const uint8_t *data, size_t at, size_t end, uint64_t mask,
			      uint64_t *hash)
{
	uint64_t limit = ~mask + 1, h = *hash;

	for (; at + 4 <= end; at += 4) {
		h = 2 * h + gear[data[at]];
		if (h < limit)
			return at + 1;
		h = 2 * h + gear[data[at + 1]];
		if (h < limit)
			return at + 2;
		h = 2 * h + gear[data[at + 2]];
		if (h < limit)
			return at + 3;
		h = 2 * h + gear[data[at + 3]];
		if (h < limit)
			return at + 4;
	}
	for (; at < end; at++) {
		h = 2 * h + gear[data[at]];
		if (h < limit)
			return at + 1;
	}
	*hash = h;
	return 0;
}

size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t n, bool last)
{
	size_t end = n < c->max ? n : c->max, middle = end < c->average ? end : c->average;
	uint64_t hash = 0;
	size_t cut = find_cut(data, c->min, middle, c->mask_strict, &hash);

	if (!cut)
		cut = find_cut(data, c->min < middle ? middle : c->min, end, c->mask_loose, &hash);
	if (cut)
		return cut;
	return end == c->max || last ? end : 0;
}
