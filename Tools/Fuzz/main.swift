import Foundation
import RetortCore
import RetortLLM

/// Feeds damaged files to a reader for a while; ends well when the reader answered each with a value or an error, in time.
///
///     retort-fuzz safetensors | tokenizer | template | config | gguf  SECONDS [SEED]
///
/// Each input is a good file, damaged a few times over: bits, bytes, stretches left out, doubled or exchanged, numbers made
/// huge, words of the format put anywhere. The last input lies in the scratch folder, so that a crash leaves its cause behind.
struct Fuzzer {
    let target: String
    let scratch: URL
    var generator: SeededGenerator

    private static let words = [
        "{{", "}}", "{%", "%}", "{#", "#}", "for", "endfor", "if", "endif", "set", "macro", "range(99999)", "loop", "[",
        "]",
        "(", ")", "{", "}", "\"", "'", "\\u", "\\ud800", "null", "1e999", "-1", "99999999999999999999", "0x", "\n",
        "\0", "é",
        "dtype", "shape", "data_offsets", "F32", "BF16", "model", "vocab", "merges", "added_tokens", "type", "Sequence",
        "Split", "Regex", "(a*)*b", "ByteLevel", "Metaspace", "Replace", "|tojson", "~", "**", "is", "not", ":", ",",
        ".",
    ].map { Array($0.utf8) }

    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<max(limit, 1), using: &generator) }

    mutating func damaged(_ seed: [UInt8]) -> [UInt8] {
        var bytes = seed
        for _ in 0...below(6) {
            let place = below(bytes.count + 1)
            let length = below(below(8) == 0 ? 400 : 12)
            let end = min(bytes.count, place + length)
            switch below(9) {
            case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8(below(8))
            case 1 where place < bytes.count: bytes[place] = [0, 0xFF, 0x80, 0x7F, 0x20][below(5)]
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
            case 4: bytes.removeLast(bytes.count - place)
            case 5: bytes.insert(contentsOf: Self.words[below(Self.words.count)], at: place)
            case 6:
                if let digit = bytes[place...].firstIndex(where: { (0x30...0x39).contains($0) }) {
                    bytes.replaceSubrange(digit...digit, with: Array("9223372036854775808".utf8.prefix(1 + below(19))))
                }
            case 7:
                bytes.insert(
                    contentsOf: Array(repeating: Self.words[below(Self.words.count)], count: below(300)).joined(),
                    at: place)
            default:
                let other = below(bytes.count + 1)
                let stretch = Array(bytes[min(place, other)..<min(bytes.count, min(place, other) + length)])
                bytes.insert(contentsOf: stretch, at: max(place, other))
            }
        }
        return bytes
    }

    /// Reads one input.
    /// - Returns: whether the reader took it.
    func read(_ bytes: [UInt8], _ tokenizer: Tokenizer) throws -> Bool {
        let file = scratch.appendingPathComponent(target == "gguf" ? "input.gguf" : "\(target).json")
        try Data(bytes).write(to: file)
        do {
            switch target {
            case "safetensors":
                let tensors = try SafetensorsFile(file)
                for name in tensors.entries.keys { _ = try tensors.tensor(name) }
            case "tokenizer":
                let read = try Tokenizer(file)
                let ids = read.encode("Hé 北京 12345 <s> \u{0301}x", specials: .recognised)
                _ = read.decode(ids)
            case "gguf":
                let checkpoint = try Checkpoint(folder: file)
                let ids = checkpoint.tokenizer.encode("Hé 北京 12345 <|im_end|>", specials: .recognised)
                let scores = try checkpoint.network().scores(of: Array(ids.prefix(3)), at: 0..<min(ids.count, 1))
                _ = try scores.floats()
            case "template":
                let template = try JinjaTemplate(String(decoding: bytes, as: UTF8.self), tokenizer: tokenizer)
                let chat = [Message(.system, "s"), Message(.user, "u"), Message(.assistant, "a", trainable: true)]
                _ = try template.render(chat, then: .nothing, with: tokenizer)
            default: _ = try DecoderConfiguration(configFile: file)
            }
            return true
        } catch {
            return false
        }
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 2, let seconds = Double(arguments[1]) else {
    print("retort-fuzz safetensors | tokenizer | template | config | gguf  SECONDS [SEED]")
    exit(2)
}
let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("retort-fuzz-\(arguments[0])")
try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
let tokenizer = try Tokenizer(root.appendingPathComponent("seedlings/tokenizer"))
var fuzzer = Fuzzer(
    target: arguments[0], scratch: scratch,
    generator: SeededGenerator(seed: UInt64(arguments.dropFirst(2).first ?? "1") ?? 1))
let seeds = try seedFiles(for: arguments[0], in: root)
var (count, taken, slowest) = (0, 0, 0.0)
let start = ContinuousClock.now
while start.duration(to: .now) < .seconds(seconds) {
    let input = fuzzer.damaged(seeds[fuzzer.below(seeds.count)])
    let begun = ContinuousClock.now
    if try fuzzer.read(input, tokenizer) { taken += 1 }
    let took = begun.duration(to: .now) / .seconds(1)
    if took > slowest {
        slowest = took
        try Data(input).write(to: scratch.appendingPathComponent("slowest"))
    }
    count += 1
}
print("\(arguments[0]): \(count) inputs, \(taken) taken, slowest \(String(format: "%.2f", slowest)) s, no crash")
if slowest >= 10 { exit(1) }

/// A small model in GGUF, as an export writes it.
func smallModel(_ root: URL) throws -> [UInt8] {
    let folder = scratch.appendingPathComponent("seed")
    let shape = DecoderConfiguration.qwen2(
        vocabularySize: 3072, hiddenSize: 32, intermediateSize: 32, layerCount: 1, headCount: 2, keyValueHeadCount: 1,
        maximumPositions: 64)
    let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 1))
    try Checkpoint.write(
        network, dtype: .float32, tokenizerFrom: root.appendingPathComponent("seedlings/tokenizer"), to: folder)
    let file = scratch.appendingPathComponent("seed.gguf")
    try GGUFExport.write(network, of: Checkpoint(folder: folder), name: "seed", precision: .q8_0, to: file)
    return Array(try Data(contentsOf: file))
}

/// Good files of the kind.
func seedFiles(for target: String, in root: URL) throws -> [[UInt8]] {
    func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: root.appendingPathComponent(path))) }
    switch target {
    case "gguf": return [try smallModel(root)]
    case "template":
        let folder = root.appendingPathComponent("Tests/RetortLLMTests/Templates")
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map {
            try bytes("Tests/RetortLLMTests/Templates/\($0)")
        }
    case "safetensors":
        let header =
            #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}"#
        return [
            withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8)
                + [UInt8](repeating: 7, count: 32)
        ]
    case "tokenizer":
        let kinds = [
            #"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|\\s+(?!\\S)|\\w+"},"behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}"#,
            #"{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}"#,
            #"{"type":"BertPreTokenizer"}"#,
        ]
        return kinds.map { kind in
            Array(
                """
                {"added_tokens":[{"id":9,"content":"<s>","special":true,"rstrip":true},{"id":10,"content":"tool","normalized":true}],
                "normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"String":" "},"content":"▁"},{"type":"BertNormalizer"}]},
                "pre_tokenizer":\(kind),"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[9]}}},
                "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
                "model":{"type":"BPE","unk_token":"?","fuse_unk":true,"byte_fallback":true,"vocab":{"?":0,"a":1,"b":2,"ab":3,"H":4,"1":5,"2":6,"12":7,"▁":8},"merges":["a b",["1","2"]]}}
                """.utf8)
        } + [try bytes("seedlings/tokenizer/tokenizer.json").prefix(4000).map(\.self)]
    default: return [try bytes("seedlings/3m/config.json")]
    }
}
