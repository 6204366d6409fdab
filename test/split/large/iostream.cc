// SPDX-License-Identifier: MIT
// Brings in streams, locales and file systems.
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>

std::string listed(const std::filesystem::path& folder) {
    std::ostringstream out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        std::ifstream in(entry.path());
        std::string line;
        while (std::getline(in, line)) out << std::setw(40) << std::quoted(line) << ' ';
        out << std::hex << entry.file_size() << std::endl;
    }
    std::cout << out.str().size() << std::fixed << 1.5 << '\n';
    return out.str();
}
