import Foundation
import Testing

@testable import RetortRetrieval

@Suite("Indices of vectors")
struct VectorIndexTests {
    /// Vectors of length one, the same for the same seed.
    private func vectors(_ count: Int, _ width: Int, seed: UInt64 = 1) -> [Float] {
        var state = seed
        return (0..<count).flatMap { _ in
            let vector = (0..<width).map { _ -> Float in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
            }
            let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return vector.map { $0 / length }
        }
    }

    private func best(_ all: [Float], _ query: ArraySlice<Float>, _ width: Int, _ limit: Int) -> [Int] {
        let scores = (0..<all.count / width).map { row in
            zip(all[row * width..<(row + 1) * width], query).reduce(Float(0)) { $0 + $1.0 * $1.1 }
        }
        return Array(scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(limit))
    }

    private func write(_ form: VectorForm, _ all: [Float], _ width: Int, to file: URL) throws {
        try form.write(count: all.count / width, width: width, to: file) { range in
            all[range.lowerBound * width..<range.upperBound * width].withUnsafeBytes { Data($0) }
        } progress: { _ in
        }
    }

    @Test("an exact search finds what looking at every vector finds, for one query and for many, on all threads")
    func exact() throws {
        let folder = try TestFolder()
        defer { folder.remove() }
        let file = folder.url.appendingPathComponent("a.faiss")
        for (count, width) in [(1, 3), (7, 8), (500, 17), (5000, 256)] {
            let (all, queries) = (vectors(count, width), vectors(9, width, seed: 2))
            try write(.flat, all, width, to: file)
            let index = try VectorIndex(file)
            #expect(index.count == count && index.width == width)
            let found = try index.search(queries, limit: 5)
            for query in 0..<9 {
                let expected = best(all, queries[query * width..<(query + 1) * width], width, 5)
                #expect(found[query].map(\.place) == expected)
            }
        }
    }

    @Test("FAISS reads our flat files, and its graphs and lists find most of what exact search finds")
    func approximate() throws {
        guard VectorIndex.faissRefusal == nil else { return }
        let folder = try TestFolder()
        defer { folder.remove() }
        let (width, all, queries) = (32, vectors(3000, 32), vectors(50, 32, seed: 9))
        for (form, least) in [(VectorForm.graph, 0.95), (.lists(count: 16), 0.3)] {
            let file = folder.url.appendingPathComponent("b.faiss")
            try write(form, all, width, to: file)
            let index = try VectorIndex(file)
            #expect(index.count == 3000)
            let found = try index.search(queries, limit: 10)
            let hits = (0..<50).map { query in
                Set(found[query].map(\.place))
                    .intersection(best(all, queries[query * width..<(query + 1) * width], width, 10)).count
            }
            #expect(Double(hits.reduce(0, +)) / 500 > least)
        }
    }

    @Test("a file that is cut, or something else, is refused by name")
    func damaged() throws {
        let folder = try TestFolder()
        defer { folder.remove() }
        let file = folder.url.appendingPathComponent("c.faiss")
        try write(.flat, vectors(10, 4), 4, to: file)
        let whole = try Data(contentsOf: file)
        for data in [whole.dropLast(), whole.prefix(20), whole + Data([1]), Data("nothing of the kind".utf8), Data()] {
            try Data(data).write(to: file)
            let error = #expect(throws: RetrievalError.self) { try VectorIndex(self.folderFile(file)) }
            #expect("\(try #require(error))".contains(file.path))
        }
        #expect(throws: RetrievalError.self) { try VectorIndex(folder.url.appendingPathComponent("none")) }
    }

    private func folderFile(_ file: URL) -> URL { file }

    @Test("the form follows from how many vectors there are, the memory, and whether FAISS is there")
    func forms() {
        func form(_ count: Int, _ memory: Int, _ hasFaiss: Bool = true) -> VectorForm {
            .fitting(count: count, width: 384, memory: memory, hasFaiss: hasFaiss)
        }
        #expect(form(1000, 0) == .flat && form(200_000, 1 << 40) == .flat)
        #expect(form(1_000_000, 4 << 30) == .graph)
        #expect(form(1_000_000, 1 << 30) == .lists(count: 4096))
        #expect(form(21_000_000, 16 << 30) == .lists(count: 16384))
        #expect(form(21_000_000, 16 << 30, false) == .flat)
    }

    @Test("vectors are kept by their text; a record that was being written falls away; unused ones are dropped")
    func store() throws {
        let folder = try TestFolder()
        defer { folder.remove() }
        let file = folder.url.appendingPathComponent("d.vectors")
        let keys = ["a", "b", "c", "d"].map(VectorStore.Key.init)
        do {
            let store = try VectorStore(file, width: 2)
            try store.add(Array(keys.prefix(3)), [1, 2, 3, 4, 5, 6])
            #expect(throws: RetrievalError.busy(file: file.path)) { try VectorStore(file, width: 2) }
        }
        var bytes = try Data(contentsOf: file)
        bytes.removeLast(5)
        try bytes.write(to: file)
        do {
            let store = try VectorStore(file, width: 2)
            #expect(store.holds(keys[1]) && !store.holds(keys[2]) && store.count == 2)
            try store.add([keys[3]], [7, 8])
            let found = try store.vectors([keys[3], keys[0], keys[3]]).withUnsafeBytes {
                Array($0.bindMemory(to: Float.self))
            }
            #expect(found == [7, 8, 1, 2, 7, 8])
            try store.compact(keeping: [keys[3]])
        }
        let store = try VectorStore(file, width: 2)
        #expect(store.count == 1 && store.holds(keys[3]))
        #expect(throws: RetrievalError.self) { try VectorStore(file, width: 3) }
    }
}
