# Builds libqgraft_ale.so from ALE's sources and the shim, led by a profile of random play:
#   make -f build.mk SOURCE=ale_py-0.12.1 WORK=FOLDER
# What runs in every frame is one translation unit, compiled twice: for an instrumented program that
# plays, and by what that program has seen. (The shim stands in for phosphor_blend.cpp.) No -march: a
# home folder may be shared by unequal machines. The profile changes the speed alone, no result.
SHIM     := $(dir $(lastword $(MAKEFILE_LIST)))
INCLUDE  := $(SHIM)../../../../include
ALE      := $(SOURCE)/src/ale
PROFILED := breakout space_invaders qbert beam_rider pong seaquest ms_pacman enduro asteroids \
            demon_attack montezuma_revenge riverraid

hot := $(WORK)/TIA.cxx \
       $(addprefix $(ALE)/emucore/,M6502.cxx M6502Low.cxx M6532.cxx System.cxx Event.cxx Control.cxx \
         Joystick.cxx Paddles.cxx Switches.cxx Random.cxx Cart.cxx) \
       $(wildcard $(ALE)/emucore/Cart?*.cxx) \
       $(filter-out %/phosphor_blend.cpp,$(wildcard $(ALE)/environment/*.cpp)) \
       $(ALE)/common/SoundNull.cxx $(ALE)/ale_interface.cpp $(SHIM)ale_shim.cpp
# Of NullDev.hxx an #endif stands too early for a unit with other files.
own  := $(ALE)/emucore/NullDev.cxx
cold := $(filter-out $(hot) $(own) %/TIA.cxx %SDL.cxx %SDL.cpp %SDL2.cpp %DynamicLoad.cpp, \
          $(wildcard $(addprefix $(ALE)/,emucore/*.cxx common/*.c* games/*.cpp games/supported/*.cpp)))

CXX   := g++
flags := -std=c++17 -DNDEBUG -fPIC -fvisibility=hidden -w -include $(SHIM)ale_exit.h -I$(SOURCE)/src -I$(WORK) -I$(INCLUDE)
link  := -static-libstdc++ -static-libgcc
parts := $(WORK)/cold.o $(WORK)/own.o
say    = @echo "build.mk: $1"

$(WORK)/libqgraft_ale.so: $(WORK)/led/hot.o $(parts)
	@echo '{ global: qg_ale_table; local: *; };' > $(WORK)/exported
	@$(CXX) -shared -s -o $@ $^ $(link) -Wl,-z,defs -Wl,--version-script=$(WORK)/exported -lz -pthread

$(WORK)/led/hot.o: $(WORK)/hot.cpp $(PROFILED:%=$(WORK)/played-%)
	$(call say,the emulator again and by its profile)
	@mkdir -p $(@D)
	@cp $(WORK)/watched/hot.gcda $(@D)
	@$(CXX) $(flags) -O3 -fprofile-use -c -o $@ $<

$(WORK)/played-%: $(ALE)/python/roms/%.bin $(WORK)/ale_profile
	@$(WORK)/ale_profile $<
	@touch $@

$(WORK)/ale_profile: $(SHIM)ale_profile.c $(WORK)/watched/hot.o $(parts)
	@$(CC) -O2 -I$(INCLUDE) -c -o $(WORK)/ale_profile.o $<
	@$(CXX) -fprofile-generate -o $@ $(WORK)/ale_profile.o $(WORK)/watched/hot.o $(parts) $(link) \
		-lz -pthread
	$(call say,random play on $(words $(PROFILED)) games)

$(WORK)/watched/hot.o: $(WORK)/hot.cpp
	$(call say,the emulator)
	@mkdir -p $(@D)
	@$(CXX) $(flags) -O3 -fprofile-generate -c -o $@ $<

$(WORK)/cold.o $(WORK)/own.o: $(WORK)/%.o: $(WORK)/%.cpp
	@$(CXX) $(flags) -O2 -c -o $@ $<

$(WORK)/hot.cpp: $(WORK)/TIA.cxx
$(WORK)/hot.cpp $(WORK)/cold.cpp $(WORK)/own.cpp: $(WORK)/%.cpp: $(WORK)/version.hpp
	@printf '#include "%s"\n' $(abspath $($*)) > $@

# A pixel is a byte, so that after each that it stores the compiler would read all members again that
# the next one is made of: the loops over a scan line get copies of them.
define local
  uint8_t* myFramePointer = this->myFramePointer;\
  uint16_t myCollision = this->myCollision;\
  const uint32_t myPF = this->myPF, myCOLUBK = this->myCOLUBK, myCOLUPF = this->myCOLUPF;\
  const uint32_t myCOLUP0 = this->myCOLUP0, myCOLUP1 = this->myCOLUP1;\
  const uint8_t myEnabledObjects = this->myEnabledObjects;\
  const uint8_t myCurrentGRP0 = this->myCurrentGRP0, myCurrentGRP1 = this->myCurrentGRP1;\
  const uint32_t* const myCurrentPFMask = this->myCurrentPFMask;\
  const uint8_t *const myCurrentBLMask = this->myCurrentBLMask;\
  const uint8_t *const myCurrentM0Mask = this->myCurrentM0Mask;\
  const uint8_t *const myCurrentM1Mask = this->myCurrentM1Mask;\
  const uint8_t *const myCurrentP0Mask = this->myCurrentP0Mask;\
  const uint8_t *const myCurrentP1Mask = this->myCurrentP1Mask;
endef
export local
$(WORK)/TIA.cxx: $(ALE)/emucore/TIA.cxx
	@mkdir -p $(@D)
	@sed -e '/^inline void TIA::updateFrameScanline(/,/^}/{' -e "s/^{/{ $$local/" \
		-e 's/^  myFramePointer = ending;/  this->myFramePointer = ending; this->myCollision = myCollision;/' \
		-e '}' $< > $@
	@test $$(grep -c 'this->myCollision' $@) -eq 2

$(WORK)/version.hpp: $(SOURCE)/version.txt
	@mkdir -p $(@D)
	@printf '#define ALE_VERSION "%s"\n#define ALE_VERSION_GIT_SHA "release"\n' "$$(cat $<)" > $@

.DELETE_ON_ERROR:
