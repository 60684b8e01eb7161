// Text that is no token.
const bit<8> A = 0xzz;
const bit<8> B = 5 ` 6;
const bit<8> C = "open;
/* no end
