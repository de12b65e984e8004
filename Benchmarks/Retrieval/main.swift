import Foundation
import RetortCore
import RetortRetrieval

// Builds and searches indices of vectors; `Benchmarks/retrieval.py` calls it, and puts Python's faiss beside it.
//
//     retrieval-bench build flat|graph|LISTS VECTORS WIDTH INDEX
//     retrieval-bench search INDEX QUERIES WIDTH LIMIT EFFORT
//     retrieval-bench words CORPUS INDEX QUERIES
//
// VECTORS and QUERIES are float32, one vector behind the other. Prints a line of JSON: seconds, and of a search the places.
// `words` builds the index of a corpus, unless it is there, and searches by the words of QUERIES, lines of text.

func floats(_ path: String) throws -> [Float] {
    try Data(contentsOf: URL(fileURLWithPath: path)).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
}

func show(_ value: JSONValue) { print(value.jsonText) }

func number(_ text: String) throws -> Int {
    guard let number = Int(text) else { throw Usage() }
    return number
}

struct Usage: Error, CustomStringConvertible {
    let description = "see Benchmarks/retrieval.py, which calls this"
}

func build(_ form: String, _ vectors: String, _ width: Int, _ index: String) throws {
    let form: VectorForm = form == "flat" ? .flat : form == "graph" ? .graph : .lists(count: try number(form))
    let all = try Data(contentsOf: URL(fileURLWithPath: vectors), options: .alwaysMapped)
    let start = ContinuousClock.now
    try form.write(count: all.count / (4 * width), width: width, to: URL(fileURLWithPath: index)) { range in
        Data(all[range.lowerBound * 4 * width..<range.upperBound * 4 * width])
    } progress: { _ in
    }
    show(["seconds": .number(start.duration(to: .now) / .seconds(1))])
}

func search(_ file: String, _ queries: String, _ width: Int, _ limit: Int, _ effort: Int) throws {
    let index = try VectorIndex(URL(fileURLWithPath: file), effort: effort)
    let all = try floats(queries)
    // Once for the pages of the file.
    _ = try index.search(Array(all.prefix(8 * width)), limit: limit)
    var start = ContinuousClock.now
    let found = try index.search(all, limit: limit)
    let together = start.duration(to: .now) / .seconds(1)
    let alone = min(200, all.count / width)
    start = .now
    for query in 0..<alone { _ = try index.search(Array(all[query * width..<(query + 1) * width]), limit: limit) }
    let single = start.duration(to: .now) / .seconds(1)
    show([
        "together": .number(together), "single": .number(single / Double(alone)),
        "places": .array(found.map { .array($0.map { .integer($0.place) }) }),
    ])
}

/// The most memory that the process had, in KiB, as Linux tells it.
func peakMemory() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") } ?? ""
    return line.split(separator: " ").compactMap { Int($0) }.first ?? 0
}

func searchWords(_ corpus: String, _ index: String, _ queries: String) async throws {
    var start = ContinuousClock.now
    let file = URL(fileURLWithPath: index)
    let count = try PassageIndex.buildIfNeeded(from: [URL(fileURLWithPath: corpus)], to: file) { progress in
        if case .read(let count) = progress, count % 50_000 == 0 {
            let line = "\(count) passages in \(start.duration(to: .now) / .seconds(1)) s\n"
            FileHandle.standardError.write(Data(line.utf8))
        }
    }
    let built = start.duration(to: .now) / .seconds(1)
    let passages = try PassageIndex(file)
    let lines = try String(contentsOfFile: queries, encoding: .utf8).split(separator: "\n").map(String.init)
    _ = try await passages.search(all: Array(lines.prefix(4)), limit: 10)
    start = .now
    for line in lines { _ = try await passages.search(line, limit: 10) }
    let alone = start.duration(to: .now) / .seconds(1)
    start = .now
    _ = try await passages.search(all: lines, limit: 10)
    let together = start.duration(to: .now) / .seconds(1)
    show([
        "passages": .integer(count), "buildSeconds": .number(built), "queries": .integer(lines.count),
        "alone": .number(Double(lines.count) / alone), "together": .number(Double(lines.count) / together),
        "memoryKiB": .integer(peakMemory()),
    ])
}

let words = Array(CommandLine.arguments.dropFirst())
switch words.first {
case "build" where words.count == 5: try build(words[1], words[2], number(words[3]), words[4])
case "search" where words.count == 6:
    try search(words[1], words[2], number(words[3]), number(words[4]), number(words[5]))
case "words" where words.count == 4: try await searchWords(words[1], words[2], words[3])
default: throw Usage()
}
