# The CUDA library, its tests and benches. `make cuda` needs neither CUDA nor a GPU on
# this machine: the compiler comes from PyPI (cuda/requirements.txt). What it leaves in
# cuda/build runs on a GPU host without any compiler: `make cuda-test`, `make cuda-bench`.

# Architectures to compile for: SMs (80, 90a, ...) and compute_NN for PTX that a later
# driver compiles. `ARCHS=release` is what is shipped.
ARCHS ?= 90a
CUDA_ARCHS := $(if $(filter release,$(ARCHS)),80 86 89 90a 100 120 compute_80,$(ARCHS))

# A toolkit of 13.0.x; found anew at each use because the wheels may come during make.
CUDA_HOME ?= $(firstword $(wildcard $(VENV)/lib/python3*/site-packages/nvidia/cu13))
NVCC = $(CUDA_HOME)/bin/nvcc

CUDA_BUILD := cuda/build
CUDA_EMPTY :=
CUDA_SPACE := $(CUDA_EMPTY) $(CUDA_EMPTY)
CUDA_OBJ := $(CUDA_BUILD)/obj/$(subst $(CUDA_SPACE),-,$(CUDA_ARCHS))
CUDA_LIB := $(CUDA_BUILD)/libnanofleet_cuda.so

CUDA_HEADERS := $(wildcard cuda/include/*.h cuda/*/*.h cuda/*/*.cuh cuda/kernels/*/*.h cuda/kernels/*/*.cuh)
CUDA_SOURCES := $(wildcard cuda/common/*.cpp cuda/common/*.cu cuda/arch/*.cpp cuda/exec/*.cpp cuda/kernels/*/*.cu cuda/kernels/*/*.cpp)
CUDA_TESTS := $(filter %_test.cpp,$(CUDA_SOURCES)) cuda/harness/test.cpp
CUDA_BENCHES := $(filter %_bench.cpp,$(CUDA_SOURCES)) cuda/harness/bench.cpp
CUDA_HARNESS := cuda/harness/device.cpp cuda/harness/random.cpp cuda/harness/fp8.cpp
CUDA_REFERENCES := $(filter %_reference.cpp,$(CUDA_SOURCES))
CUDA_PRODUCT := $(filter-out %_test.cpp %_bench.cpp %_reference.cpp,$(CUDA_SOURCES))
# What the tests and benches link; the library itself they load.
CUDA_KERNELS := $(filter cuda/common/% cuda/arch/% cuda/kernels/%,$(CUDA_PRODUCT))
cuda_objects = $(patsubst cuda/%,$(CUDA_OBJ)/%.o,$(1))

CUDA_GENCODE := $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a:compute_%=%),code=$(if $(filter compute_%,$(a)),$(a),sm_$(a)))
CUDA_WARN := -Wall -Wextra -Werror
CUDA_CXXFLAGS = -std=c++17 -O2 -ffp-contract=off -fPIC -fvisibility=hidden -Icuda -Icuda/include -I$(CUDA_OBJ) -isystem $(CUDA_HOME)/include
CUDA_NVCCFLAGS = -std=c++17 -O3 $(CUDA_GENCODE) -Icuda -Icuda/include -Werror all-warnings -Xptxas -v \
	-Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra
CUDA_LINK = -static-libstdc++ -static-libgcc -L$(CUDA_HOME)/lib -lcudart_static -lpthread -ldl -lrt

## CUDA

.PHONY: cuda
cuda: $(VENV)/.cuda ## build and check the CUDA library (no GPU needed; ARCHS=release for all architectures)
	@$(MAKE) -j$$(nproc) cuda-build
	@cuda/scripts/exports $(CUDA_LIB) nf_open
	@cuda/scripts/ptxas-report $(CUDA_OBJ)
	@$(CUDA_BUILD)/nf_test host/

.PHONY: cuda-build
cuda-build: $(CUDA_LIB) $(CUDA_BUILD)/nf_test $(CUDA_BUILD)/nf_bench

.PHONY: cuda-test
cuda-test: ## kernels and library on this machine's GPU, from what make cuda built
	@cuda/scripts/built $(CUDA_BUILD)/nf_test
	@$(CUDA_BUILD)/nf_test

.PHONY: cuda-bench
cuda-bench: ## the kernels' speed on this machine's GPU, likewise
	@cuda/scripts/built $(CUDA_BUILD)/nf_bench
	@$(CUDA_BUILD)/nf_bench

$(VENV)/.cuda: cuda/requirements.txt | $(VENV)/bin/pip
	$(VENV)/bin/pip install -q --disable-pip-version-check -r $< && touch $@

# A stamp holds the architectures, so that another ARCHS links again.
$(CUDA_BUILD)/.archs: FORCE
	@mkdir -p $(@D) && echo "$(CUDA_ARCHS)" | cmp -s - $@ || echo "$(CUDA_ARCHS)" >$@

.PHONY: FORCE
FORCE:

$(CUDA_LIB): $(call cuda_objects,$(CUDA_PRODUCT)) cuda/exec/exports.map $(CUDA_BUILD)/.archs
	@echo "link $@"; $(CXX) -shared -o $@ $(filter %.o,$^) $(CUDA_LINK) -Wl,--exclude-libs,ALL -Wl,-z,defs -Wl,--version-script=cuda/exec/exports.map
	@mkdir -p bin && ln -sf ../$@ bin/ # where bin/nanofleet finds it

$(CUDA_BUILD)/nf_test: $(call cuda_objects,$(CUDA_KERNELS) $(CUDA_REFERENCES) $(CUDA_HARNESS) $(CUDA_TESTS)) $(CUDA_BUILD)/.archs
	@echo "link $@"; $(CXX) -o $@ $(filter %.o,$^) $(CUDA_LINK)

$(CUDA_BUILD)/nf_bench: $(call cuda_objects,$(CUDA_KERNELS) $(CUDA_HARNESS) $(CUDA_BENCHES)) $(CUDA_BUILD)/.archs
	@echo "link $@"; $(CXX) -o $@ $(filter %.o,$^) $(CUDA_LINK)

# ptxas' account of each kernel is kept beside the object for ptxas-report.
$(CUDA_OBJ)/%.cu.o: cuda/%.cu $(CUDA_HEADERS) cuda/cuda.mk $(VENV)/.cuda
	@mkdir -p $(@D)
	@echo "nvcc $<"; $(NVCC) $(CUDA_NVCCFLAGS) -c -o $@ $< 2>$@.ptxas || { cat $@.ptxas >&2; rm -f $@; exit 1; }

$(CUDA_OBJ)/%.cpp.o: cuda/%.cpp $(CUDA_HEADERS) $(CUDA_OBJ)/build_id.h cuda/cuda.mk $(VENV)/.cuda
	@mkdir -p $(@D)
	@echo "$(CXX) $<"; $(CXX) $(CUDA_CXXFLAGS) $(CUDA_WARN) -DNF_ARCHS='"$(CUDA_ARCHS)"' -c -o $@ $<

# The build's id in a numerics id: what decides its bits, and nothing else.
$(CUDA_OBJ)/build_id.h: $(CUDA_PRODUCT) $(CUDA_HEADERS) cuda/requirements.txt cuda/cuda.mk
	@mkdir -p $(@D)
	@printf '#define NF_BUILD_ID "cuda-%s"\n' "$$( (echo "$(CUDA_ARCHS)"; cat $(sort $^)) | sha256sum | cut -c1-12)" >$@
