import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining
import RetortWorld

@main
struct Retort {
    static func main() throws {
        let a = CommandLine.arguments
        if a[1] == "text" {
            var t = WorldText(seed: 1)
            for _ in 0..<(Int(a[2]) ?? 1) {
                if let d = t.next() { print(String(decoding: try JSONCoding.encoder.encode(d), as: UTF8.self)) }
            }
            return
        }
        // pretrain name hidden layers heads ff rows lr out rowTokens
        Engine.threads = Int(a[10]) ?? 2
        let source = URL(fileURLWithPath: "seedlings/tokenizer")
        let tokenizer = try Tokenizer(source)
        let c = Qwen2Configuration(
            vocabularySize: tokenizer.vocabularySize, hiddenSize: Int(a[2])!, intermediateSize: Int(a[5])!,
            layerCount: Int(a[3])!, headCount: Int(a[4])!, keyValueHeadCount: Int(a[4])!, maximumPositions: 2048)
        let net = try Qwen2Model(c, weights: RandomWeights(seed: 1, deviation: 0.02))
        let out = URL(fileURLWithPath: a[8])
        let tc = TrainingConfiguration(
            rowTokens: Int(a[9])!, learningRate: Double(a[7])!, schedule: .cosine, warmup: 0.03, weightDecay: 0.05,
            beta2: 0.98, seed: 1, checkpointEvery: 200)
        let trainer = try Trainer(net, configuration: tc, checkpoints: out)
        let eot = tokenizer.id(of: "<|endoftext|>")!
        var n = 0
        let docs = AnyIterator(
            WorldText(seed: 1).lazy.map { d -> TrainingExample in
                n += 1; return TrainingExample(document: d, id: "\(n)", tokenizer: tokenizer, endOfText: eot)
            }.makeIterator())
        print("parameters", net.parameterCount)
        var avg = 0.0
        let losses = try trainer.run(StreamRows(docs, rows: Int(a[6])!, rowTokens: Int(a[9])!)) { p in
            avg = avg == 0 ? p.loss : 0.95 * avg + 0.05 * p.loss
            if p.update % 20 == 0 {
                FileHandle.standardError.write(
                    Data(
                        ("\(p.update) \(p.updates) "
                            + String(format: "%.3f %.3f gn %.2f %.0f tok/s", p.loss, avg, p.gradientNorm, p.rate) + "\n")
                            .utf8))
            }
        }
        try Checkpoint.write(net, dtype: .bfloat16, tokenizerFrom: source, to: out)
        print("final", losses.suffix(50).reduce(0, +) / 50)
    }
}
