import Foundation
import RetortCore
import Testing

@Suite("What was spent")
struct UsageTests {
    @Test(
        "counts beyond reason become counts that can be added, from wherever they come",
        arguments: [Int.max, .min, -1, 1 << 62])
    func bounds(count: Int) throws {
        let text = #"{"promptTokens": \#(count), "completionTokens": \#(count), "seconds": 0}"#
        var changed = Usage()
        changed.promptTokens = count
        changed.completionTokens = count
        changed.completionTokens += 1 << 44
        let read = try JSONCoding.decoder.decode(Usage.self, from: Data(text.utf8))
        for usage in [Usage(promptTokens: count, completionTokens: count), changed, read] {
            let sum = Array(repeating: usage, count: 1000).reduce(Usage(), +)
            #expect(sum.promptTokens >= 0 && sum.completionTokens >= 0)
            #expect(sum.promptTokens + sum.completionTokens <= 1 << 45)
            #expect((count < 0) == (usage.promptTokens == 0))
        }
    }

    @Test("reasonable counts stay as they are, and are read as they were written")
    func reasonable() throws {
        let usage = Usage(promptTokens: 12, completionTokens: 3, seconds: 0.5)
        #expect(usage + usage == Usage(promptTokens: 24, completionTokens: 6, seconds: 1))
        #expect(try JSONCoding.decoder.decode(Usage.self, from: JSONCoding.encoder.encode(usage)) == usage)
        #expect(try ExactJSON.decode(Usage.self, from: ExactJSON.encode(usage)) == usage)
    }
}
