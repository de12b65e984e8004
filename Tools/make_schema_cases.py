"""Schemas, values, and whether the PyPI package jsonschema finds them valid: the cases of JSONSchemaTests.

Usage: python Tools/make_schema_cases.py > Tests/RetortCoreTests/Fixtures/schemas.jsonl
"""
import json,random,jsonschema,sys
r=random.Random(5)
def schema(d=0):
    k=r.choice(['string','integer','number','boolean','null','enum','array','object','anyOf','types'] if d<2 else ['string','integer','number','boolean','enum'])
    if k=='string': return r.choice([{'type':'string'},{'type':'string','maxLength':r.randint(0,4)}])
    if k=='integer': a=r.randint(-12,12); return r.choice([{'type':'integer'},{'type':'integer','minimum':a},{'type':'integer','minimum':a,'maximum':a+r.randint(0,9)}])
    if k=='number': a=r.randint(-12,12)/4; return r.choice([{'type':'number'},{'type':'number','maximum':a},{'type':'number','minimum':a,'maximum':a+r.randint(0,9)/8}])
    if k in('boolean','null'): return {'type':k}
    if k=='enum': return {'enum':r.sample(['a','bé','c"d',3,-4,2.5,None,True],r.randint(1,3))}
    if k=='array': return {'type':'array','items':schema(d+1),'minItems':r.randint(0,1),'maxItems':r.randint(1,3)}
    if k=='object':
        names=r.sample(['a','b','c d','é'],r.randint(0,3)); s={'type':'object','properties':{n:schema(d+1) for n in names},'required':r.sample(names,r.randint(0,len(names)))}
        if r.random()<.6: s['additionalProperties']=r.choice([False,False,True,{'type':'integer'}])
        return s
    if k=='anyOf': return {'anyOf':[schema(d+1) for _ in range(2)]}
    return {'type':['string','integer']}
def value(d=0):
    k=r.randint(0,9 if d<2 else 6)
    if k==0: return r.choice(['','a','bé','c"d','long text','\U0001f600x'])
    if k==1: return r.randint(-15,15)
    if k==2: return r.randint(-60,60)/8
    if k==3: return r.random()<.5
    if k==4: return None
    if k==5: return float(r.randint(-3,3))+0.5
    if k==6: return r.choice(['a',3,-4,2.5])
    if k==7: return [value(d+1) for _ in range(r.randint(0,3))]
    return {n:value(d+1) for n in r.sample(['a','b','c d','é','z'],r.randint(0,3))}
def fit(s,d=0):
    if r.random()<.15: return value(d)
    if 'enum' in s: return r.choice(s['enum'])
    if 'anyOf' in s: return fit(r.choice(s['anyOf']),d)
    t=s['type']; t=r.choice(t) if isinstance(t,list) else t
    if t=='string': return r.choice(['','ab','é','abcdef'])
    if t=='integer': return s.get('minimum',0)+r.randint(0,6)
    if t=='number': return s.get('minimum',s.get('maximum',0))+r.randint(-1,3)/8
    if t=='boolean': return True
    if t=='null': return None
    if t=='array': return [fit(s['items'],d+1) for _ in range(r.randint(0,3))]
    o={n:fit(x,d+1) for n,x in s['properties'].items() if n in s['required'] or r.random()<.5}
    return o
out=[]
for _ in range(400):
    s=schema(); v=fit(s)
    ok=jsonschema.Draft202012Validator(s).is_valid(v)
    out.append((s,v,ok))
print(sum(o[2] for o in out),file=sys.stderr)
for s,v,ok in out: print(json.dumps({'schema':s,'value':v,'valid':ok},ensure_ascii=False,separators=(',',':')))
