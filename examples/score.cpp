// Scores frames by their features, from C++: score BUNDLE FEATURES (edge/kernel/library/example.c says what that holds).
// c++ -std=c++17 score.cpp $(pkg-config --cflags --libs panda_edge) -o score
#include <panda_edge.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <vector>
int main(int count, char **arguments)
{
    panda_edge_error error{"usage: score BUNDLE FEATURES"};
    std::unique_ptr<panda_edge_bundle, decltype(&panda_edge_close)> bundle(
        count == 3 ? panda_edge_open(arguments[1], 2, &error) : nullptr, panda_edge_close);
    if (!bundle) return std::cerr << "error: " << error.line << '\n', 2;
    panda_edge_shape shape = panda_edge_shape_of(bundle.get());
    size_t starts[4] = {}, numbers = shape.embedding_size;
    for (int l = 0; l < shape.level_count; l++) {
        starts[l] = numbers;
        numbers += shape.levels[l].cells * shape.levels[l].channels;
    }
    std::vector<float> frame(numbers), heatmap(shape.height * shape.width);
    std::ifstream features(arguments[2], std::ios::binary);
    while (features.read(reinterpret_cast<char *>(frame.data()), std::streamsize(numbers * sizeof(float)))) {
        const float *levels[4] = {&frame[starts[0]], &frame[starts[1]], &frame[starts[2]], &frame[starts[3]]};
        panda_edge_result result;
        if (!panda_edge_score(bundle.get(), frame.data(), levels, &result, heatmap.data(), &error))
            return std::cerr << "error: " << error.line << '\n', 2;
        std::cout << result.score << ' ' << result.p_value << '\n';
    }
}
