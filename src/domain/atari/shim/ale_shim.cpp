// ALE behind the C interface of ale_shim.h: each function calls ALE within `guarded`, which turns
// what it throws into a qg_status.
#include "ale_shim.h"

#include "ale/ale_interface.hpp"
#include "ale/emucore/MD5.hxx"
#include "ale/games/RomSettings.hpp"
#include "ale/games/Roms.hpp"
#include "ale/environment/phosphor_blend.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

// ALE leaves some members of its objects as they come. Memory that is zero at first makes a machine
// a function of its start, whatever the memory held before.
void *operator new(std::size_t size)
{
    void *memory = std::calloc(1, size ? size : 1);
    if (!memory) throw std::bad_alloc();
    return memory;
}

void operator delete(void *memory) noexcept
{
    std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
    std::free(memory);
}

// ALE ends the process on a file that it cannot load or an action that it does not know. None gets
// there, but should one: its exit is this (ale_exit.h).
void qg_ale_exit(int)
{
    throw std::runtime_error("the emulator gave up");
}

// ALE's averaging of colours, which is off here, would fill tables for 0.2 s at every start.
ale::PhosphorBlend::PhosphorBlend(ale::stella::OSystem *)
{
}

void ale::PhosphorBlend::process(ALEScreen &)
{
    throw std::logic_error("there is no averaging of colours");
}

struct qg_emulator {
    std::string rom;
    qg_emulator_start start;
    std::unique_ptr<ale::ALEInterface> ale;
    qg_emulator_facts facts;
    std::vector<int> modes, difficulties, minimal, legal; // what `facts` points to
    uint8_t palette[256][3];
};

namespace
{

using text = std::string;

qg_status fail(qg_error *error, qg_status code, const text &message)
{
    error->code = code;
    std::snprintf(error->message, sizeof error->message, "%s", message.c_str());
    for (char *c = error->message; *c; c++) // one line, and nothing for the terminal, as qg_fail
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    return code;
}

// What the caller can correct.
struct wrong_usage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class Call> qg_status guarded(qg_error *error, const text &what, Call call)
{
    try {
        call();
        return QG_OK;
    } catch (const wrong_usage &e) {
        return fail(error, QG_ERROR_USAGE, e.what());
    } catch (const std::bad_alloc &) {
        return fail(error, QG_ERROR_MEMORY, what + ": not enough memory for the emulator");
    } catch (const std::exception &e) {
        return fail(error, QG_ERROR_DATA, what + ": the emulator says: " + e.what());
    } catch (...) {
        return fail(error, QG_ERROR_DATA, what + ": the emulator failed");
    }
}

// Whether a start asks for another number than the machine has; one that the game knows.
template <class Numbers>
bool is_other(const text &what, int number, unsigned now, const Numbers &known)
{
    if (number == QG_ALE_DEFAULT || (unsigned)number == now) return false;
    if (std::find(known.begin(), known.end(), (unsigned)number) != known.end()) return true;
    text list;
    for (auto k : known)
        list += (list.empty() ? "" : ", ") + std::to_string(k);
    throw wrong_usage(what + " " + std::to_string(number) + ": this game has " + list);
}

// ALE's isSupportedROM does the same, but leaks what it finds; on a file that is none of its ROMs a
// machine would give up.
void check_rom(const text &rom)
{
    std::ifstream file(rom, std::ios::binary);
    if (!file) throw std::runtime_error("ROM file doesn't exist");
    const std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(file)),
                                     std::istreambuf_iterator<char>());
    const text md5 = ale::stella::MD5(bytes.data(), (uint32_t)bytes.size());
    const std::unique_ptr<ale::RomSettings> known(ale::buildRomRLWrapper(rom, md5));
    if (!known || known->md5() != md5) throw std::runtime_error("not one of the ROMs that ALE knows");
}

std::unique_ptr<ale::ALEInterface> make_machine(const text &rom, const qg_emulator_start &start)
{
    // Machines play independently of each other; whether they are born so is not known.
    static std::mutex birth;
    const std::lock_guard<std::mutex> lock(birth);
    ale::Logger::setMode(ale::Logger::Error);
    check_rom(rom);
    auto machine = std::make_unique<ale::ALEInterface>();
    machine->setInt("random_seed", start.seed == UINT32_MAX ? INT32_MAX : (int)start.seed);
    machine->setFloat("repeat_action_probability", 0);
    machine->loadROM(rom); // starts a game, too
    const bool mode =
        is_other("mode", start.mode, machine->getMode(), machine->getAvailableModes());
    const bool difficulty = is_other("difficulty", start.difficulty, machine->getDifficulty(),
                                     machine->getAvailableDifficulties());
    if (mode) machine->setMode((unsigned)start.mode);
    if (difficulty) machine->setDifficulty((unsigned)start.difficulty);
    if (mode || difficulty) machine->reset_game(); // the defaults need no second start
    return machine;
}

template <class Numbers> void keep(std::vector<int> &kept, const Numbers &numbers)
{
    for (auto n : numbers)
        kept.push_back((int)n);
}

void find_facts(qg_emulator &self)
{
    ale::ALEInterface &ale = *self.ale;
    keep(self.modes, ale.getAvailableModes());
    keep(self.difficulties, ale.getAvailableDifficulties());
    keep(self.minimal, ale.getMinimalActionSet());
    keep(self.legal, ale.getLegalActionSet());
    uint8_t indices[256];
    for (int i = 0; i < 256; i++)
        indices[i] = (uint8_t)i;
    ale.theOSystem->colourPalette().applyPaletteRGB(self.palette[0], indices, sizeof indices);

    qg_emulator_facts &facts = self.facts;
    facts.height = (int)ale.getScreen().height();
    facts.width = (int)ale.getScreen().width();
    facts.modes = self.modes.data();
    facts.mode_count = (int)self.modes.size();
    facts.difficulties = self.difficulties.data();
    facts.difficulty_count = (int)self.difficulties.size();
    facts.minimal = self.minimal.data();
    facts.minimal_count = (int)self.minimal.size();
    facts.legal = self.legal.data();
    facts.legal_count = (int)self.legal.size();
    facts.palette = self.palette;
}

qg_status create(const char *rom, const qg_emulator_start *start, qg_emulator **emulator,
                 qg_error *error)
{
    *emulator = nullptr;
    return guarded(error, rom, [&] {
        auto self = std::make_unique<qg_emulator>();
        self->rom = rom;
        self->start = *start;
        self->ale = make_machine(self->rom, self->start);
        find_facts(*self);
        *emulator = self.release();
    });
}

void destroy(qg_emulator *self)
{
    delete self;
}

const qg_emulator_facts *facts(const qg_emulator *self)
{
    return &self->facts;
}

qg_status restart(qg_emulator *self, uint32_t seed, qg_error *error)
{
    return guarded(error, self->rom, [&] {
        qg_emulator_start start = self->start;
        start.seed = seed;
        self->ale = make_machine(self->rom, start);
        self->start = start;
    });
}

qg_status reset(qg_emulator *self, qg_error *error)
{
    return guarded(error, self->rom, [&] { self->ale->reset_game(); });
}

void look(const qg_emulator *self, qg_emulator_frame *frame)
{
    frame->reward = 0;
    frame->lives = self->ale->lives();
    frame->over = self->ale->game_over();
    frame->episode_frames = self->ale->getEpisodeFrameNumber();
}

qg_status act(qg_emulator *self, int action, qg_emulator_frame *frame, qg_error *error)
{
    return guarded(error, self->rom, [&] {
        if (action < ale::PLAYER_A_NOOP || action > ale::PLAYER_A_DOWNLEFTFIRE)
            throw wrong_usage("action " + std::to_string(action) + ": expected 0 to 17");
        const int reward = self->ale->act((ale::Action)action);
        look(self, frame);
        frame->reward = reward;
    });
}

const uint8_t *screen(const qg_emulator *self)
{
    return self->ale->getScreen().getArray();
}

const uint8_t *ram(const qg_emulator *self)
{
    return self->ale->getRAM().array();
}

qg_status poke(qg_emulator *self, size_t index, uint8_t value, qg_error *error)
{
    return guarded(error, self->rom, [&] { self->ale->setRAM(index, value); });
}

} // namespace

extern "C" __attribute__((visibility("default"))) const qg_ale *qg_ale_table(void)
{
    static const qg_ale table = {QG_ALE_INTERFACE, ALE_VERSION, create, destroy, facts, restart,
                                 reset, act, look, screen, ram, poke};
    return &table;
}
