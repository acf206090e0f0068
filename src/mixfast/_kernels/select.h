/* Which instruction sets this build and this machine have, and the kernels compiled for each. */
#ifndef MIXFAST_SELECT_H
#define MIXFAST_SELECT_H

#include "categorical.h"
#include "centres.h"
#include "experts.h"
#include "factors.h"
#include "family.h"
#include "gaps.h"
#include "gate.h"
#include "gaussian.h"
#include "gibbs.h"
#include "linear.h"
#include "missing.h"
#include "rows.h"
#include "student_t.h"
#include "ward.h"

/* 1 if kernels for this instruction set, MIXFAST_ISA_... of family.h, were built and the processor can run them. */
int mixfast_isa_is_available(int isa);

/* The kernels for an instruction set and a precision (4 or 8 bytes); NULL if they were not built. */
const mixfast_rows_kernels *mixfast_select_rows(int isa, int real_bytes);
const mixfast_gaussian_kernels *mixfast_select_gaussian(int isa, int real_bytes);
const mixfast_linear_kernels *mixfast_select_linear(int isa, int real_bytes);
const mixfast_sparse_linear_kernels *mixfast_select_sparse_linear(int isa, int real_bytes);
const mixfast_categorical_kernels *mixfast_select_categorical(int isa, int real_bytes);
const mixfast_centres_kernels *mixfast_select_centres(int isa, int real_bytes);
const mixfast_sparse_centres_kernels *mixfast_select_sparse_centres(int isa, int real_bytes);
const mixfast_factors_kernels *mixfast_select_factors(int isa, int real_bytes);
const mixfast_student_t_kernels *mixfast_select_student_t(int isa, int real_bytes);
/* In double precision only. */
const mixfast_experts_kernels *mixfast_select_experts(int isa);
const mixfast_gaps_kernels *mixfast_select_gaps(int isa);
const mixfast_gate_kernels *mixfast_select_gate(int isa);
const mixfast_gibbs_kernels *mixfast_select_gibbs(int isa);
const mixfast_missing_kernels *mixfast_select_missing(int isa);
const mixfast_ward_kernels *mixfast_select_ward(int isa);

#endif
