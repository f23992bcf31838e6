//go:build !purego

#include "textflag.h"

// func renameAVX2(to, from *byte, size int, low, high *[16]byte)
TEXT ·renameAVX2(SB), NOSPLIT, $0-40
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ size+16(FP), CX
	MOVQ low+24(FP), AX
	MOVQ high+32(FP), BX
	VBROADCASTI128 (AX), Y0
	VBROADCASTI128 (BX), Y1
	MOVQ $15, AX
	MOVQ AX, X2
	VPBROADCASTB X2, Y2

loop:
	VMOVDQU (SI), Y3
	VMOVDQU 32(SI), Y4
	VPSRLW  $4, Y3, Y5
	VPSRLW  $4, Y4, Y6
	VPAND   Y2, Y3, Y3
	VPAND   Y2, Y4, Y4
	VPAND   Y2, Y5, Y5
	VPAND   Y2, Y6, Y6
	VPSHUFB Y3, Y0, Y3
	VPSHUFB Y4, Y0, Y4
	VPSHUFB Y5, Y1, Y5
	VPSHUFB Y6, Y1, Y6
	VPXOR   Y5, Y3, Y3
	VPXOR   Y6, Y4, Y4
	VMOVDQU Y3, (DI)
	VMOVDQU Y4, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	SUBQ    $64, CX
	JNZ     loop
	VZEROUPPER
	RET
